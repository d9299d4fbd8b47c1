package peers;

import org.cometd.bayeux.server.BayeuxServer;
import org.cometd.server.BayeuxServerImpl;
import org.cometd.server.http.JSONHttpTransport;
import org.cometd.server.http.JSONPHttpTransport;
import org.cometd.server.http.jakarta.CometDServlet;
import org.cometd.server.websocket.jetty.JettyWebSocketTransport;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Context;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.util.thread.QueuedThreadPool;
import org.eclipse.jetty.websocket.server.ServerUpgradeRequest;
import org.eclipse.jetty.websocket.server.ServerUpgradeResponse;
import org.eclipse.jetty.websocket.server.WebSocketUpgradeHandler;

/** A CometD 8 server at /cometd on the loopback interface. */
public final class CometD8 {
    private static final String MAPPING = "/cometd/*";

    private CometD8() {
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

        ServletContextHandler context = new ServletContextHandler("/");
        server.setHandler(context);
        context.insertHandler(WebSocketUpgradeHandler.from(server, context));

        BayeuxServerImpl bayeux = new BayeuxServerImpl();
        bayeux.setOption(Context.class.getName(), context.getContext());
        bayeux.setOption("ws.cometdURLMapping", MAPPING);
        arguments.cometd().forEach(bayeux::setOption);
        bayeux.setTransports(new WebSocket(bayeux), new JSONHttpTransport(bayeux), new JSONPHttpTransport(bayeux));

        context.setAttribute(BayeuxServer.ATTRIBUTE, bayeux);
        ServletHolder holder = new ServletHolder(new CometDServlet());
        holder.setInitOrder(1);
        context.addServlet(holder, MAPPING);

        server.start();

        // Policies and meta channels are there by now; who waits for the line below meets the whole set-up.
        setup.into(bayeux);
        System.out.println("listening http://127.0.0.1:" + connector.getLocalPort() + "/cometd");
        server.join();
    }

    /**
     * The WebSocket of Jetty's own API, which unlike CometD's Jakarta transport does not look at the option
     * ws.protocol. Here it does: the protocol is echoed if it is offered, else the upgrade fails with 500.
     */
    private static final class WebSocket extends JettyWebSocketTransport {
        private WebSocket(BayeuxServerImpl bayeux) {
            super(bayeux);
        }

        @Override
        protected void modifyUpgrade(ServerUpgradeRequest request, ServerUpgradeResponse response) {
            String wanted = getProtocol();
            if (wanted != null) {
                if (!request.hasSubProtocol(wanted)) {
                    throw new IllegalArgumentException("the client does not offer the protocol " + wanted);
                }
                response.setAcceptedSubProtocol(wanted);
            }
        }
    }
}
