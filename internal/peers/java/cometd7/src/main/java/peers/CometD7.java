package peers;

import org.cometd.bayeux.server.BayeuxServer;
import org.cometd.server.BayeuxServerImpl;
import org.cometd.server.CometDServlet;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.servlet.ServletContextHandler;
import org.eclipse.jetty.servlet.ServletHolder;
import org.eclipse.jetty.util.thread.QueuedThreadPool;
import org.eclipse.jetty.websocket.jakarta.server.config.JakartaWebSocketServletContainerInitializer;

/** A CometD 7 server at /cometd on the loopback interface. */
public final class CometD7 {
    private static final String MAPPING = "/cometd/*";

    private CometD7() {
    }

    public static void main(String[] args) throws Exception {
        Arguments arguments = new Arguments(args);
        Setup setup = new Setup(arguments);

        Server server = new Server(new QueuedThreadPool(256));
        server.setStopAtShutdown(true);
        ServerConnector connector = new ServerConnector(server, 1, 2);
        connector.setHost("127.0.0.1");
        connector.setPort(arguments.port());
        connector.setAcceptQueueSize(4096);
        connector.setIdleTimeout(120_000);
        server.addConnector(connector);

        ServletContextHandler context = new ServletContextHandler(server, "/");
        JakartaWebSocketServletContainerInitializer.configure(context, null);
        ServletHolder holder = new ServletHolder(new CometDServlet());
        holder.setAsyncSupported(true);
        holder.setInitOrder(1);
        holder.setInitParameter("ws.cometdURLMapping", MAPPING);
        arguments.cometd().forEach(holder::setInitParameter);
        context.addServlet(holder, MAPPING);
        server.start();

        // The servlet has made the server by now; who waits for the line below meets the whole set-up.
        setup.into((BayeuxServerImpl)context.getServletContext().getAttribute(BayeuxServer.ATTRIBUTE));
        System.out.println("listening http://127.0.0.1:" + connector.getLocalPort() + "/cometd");
        server.join();
    }
}
