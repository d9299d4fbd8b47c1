package interop;

import jakarta.websocket.ContainerProvider;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.atomic.AtomicBoolean;
import org.cometd.bayeux.Message;
import org.cometd.bayeux.client.ClientSession;
import org.cometd.bayeux.client.ClientSessionChannel;
import org.cometd.client.BayeuxClient;
import org.cometd.client.ext.AckExtension;
import org.cometd.client.http.jetty.JettyHttpClientTransport;
import org.cometd.client.transport.ClientTransport;
import org.cometd.client.websocket.jakarta.WebSocketTransport;
import org.eclipse.jetty.client.HttpClient;
import org.eclipse.jetty.util.ajax.JSON;
import org.glassfish.tyrus.client.ClientManager;
import org.glassfish.tyrus.client.ClientProperties;

/**
 * Puts the Java client of CometD 8 under the command of {@code halley conform --client}; docs/CONFORMANCE_CLIENTS.md
 * describes the language of such drivers.
 */
public final class Conform8 {
    private static final String CONTROL = "/bx/control";
    private static final String DATA = "/bx/data";
    private static final int WORKERS = 4;

    private static PrintStream out;
    private static HttpClient http;
    private static ScheduledExecutorService timers;

    private final Map<String, ClientSessionChannel.MessageListener> listeners = new ConcurrentHashMap<>();
    private final AtomicBoolean up = new AtomicBoolean();
    private final String name;
    private final BayeuxClient client;

    private Conform8(Map<String, Object> job) throws Exception {
        name = (String) job.get("client");
        List<ClientTransport> transports = transports((String) job.get("transport"), job.get("networkDelay"));
        client = new BayeuxClient((String) job.get("url"), timers, transports.get(0), transports.subList(1, transports.size()).toArray(new ClientTransport[0]));
        client.setOption(ClientTransport.MAX_NETWORK_DELAY_OPTION, job.get("networkDelay"));
        client.setOption(BayeuxClient.BACKOFF_INCREMENT_OPTION, job.get("backoff"));
        client.setOption(BayeuxClient.MAX_BACKOFF_OPTION, job.get("maxBackoff"));
        if (Boolean.TRUE.equals(job.get("ack"))) {
            client.addExtension(new AckExtension());
        }
        client.getChannel("/meta/handshake").addListener((ClientSessionChannel.MessageListener) (channel, reply) -> {
            if (reply.isSuccessful()) {
                // A new session: the application subscribes, as CometD's documentation tells it to.
                client.batch(this::subscribeAll);
            }
        });
        client.getChannel("/meta/connect").addListener((ClientSessionChannel.MessageListener) (channel, reply) -> {
            if (up.getAndSet(reply.isSuccessful()) != reply.isSuccessful()) {
                say(reply.isSuccessful() ? "up" : "down", Map.of());
            }
        });
        client.handshake();
    }

    private static List<ClientTransport> transports(String which, Object delay) throws Exception {
        List<ClientTransport> all = new ArrayList<>();
        if (!which.equals("long-polling")) {
            ClientManager tyrus = (ClientManager) ContainerProvider.getWebSocketContainer();
            tyrus.getProperties().put(ClientProperties.HANDSHAKE_TIMEOUT, ((Number) delay).intValue());
            all.add(new WebSocketTransport(null, timers, tyrus));
        }
        if (!which.equals("websocket")) {
            all.add(new JettyHttpClientTransport(null, http));
        }
        return all;
    }

    private static void tell(Map<String, Object> line) {
        synchronized (Conform8.class) {
            out.println(new JSON().toJSON(line));
        }
    }

    private void say(String kind, Map<String, Object> rest) {
        Map<String, Object> line = new LinkedHashMap<>(rest);
        line.put("client", name);
        line.put("kind", kind);
        tell(line);
    }

    private ClientSession.MessageListener outcome(String kind, String channel, Object data) {
        return reply -> {
            Map<String, Object> rest = new LinkedHashMap<>();
            rest.put("channel", channel);
            rest.put("data", data);
            rest.put("ok", reply.isSuccessful());
            if (!reply.isSuccessful()) {
                rest.put("error", String.valueOf(reply.getOrDefault("error", reply.get("failure"))));
            }
            say(kind, rest);
        };
    }

    private void subscribeAll() {
        listeners.putIfAbsent(CONTROL, (at, message) -> received(message));
        listeners.putIfAbsent(DATA, (at, message) -> received(message));
        listeners.keySet().forEach(this::subscribe);
    }

    private void subscribe(String channel) {
        ClientSessionChannel.MessageListener listener = listeners.computeIfAbsent(channel, c -> (at, message) -> received(message));
        client.getChannel(channel).subscribe(listener, outcome("subscribed", channel, null));
    }

    private void received(Message message) {
        if (!message.getChannel().equals(CONTROL)) {
            Map<String, Object> rest = new LinkedHashMap<>();
            rest.put("channel", message.getChannel());
            rest.put("data", message.getData());
            say("message", rest);
            return;
        }
        Map<String, Object> command = message.getDataAsMap();
        String channel = (String) command.get("channel");
        switch ((String) command.get("do")) {
            case "publish" -> client.getChannel(channel).publish(command.get("data"), outcome("published", channel, command.get("data")));
            case "subscribe" -> subscribe(channel);
            case "unsubscribe" -> client.getChannel(channel).unsubscribe(listeners.remove(channel));
            case "disconnect" -> client.disconnect();
            default -> throw new IllegalArgumentException(String.valueOf(command));
        }
    }

    @SuppressWarnings("unchecked")
    public static void main(String[] args) throws Exception {
        // Only our lines may stand on stdout: whatever the libraries print goes to stderr.
        out = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
        System.setOut(System.err);
        http = new HttpClient();
        http.start();
        timers = Executors.newScheduledThreadPool(WORKERS);
        Properties pom = new Properties();
        try (InputStream in = Conform8.class.getResourceAsStream("/META-INF/maven/org.cometd.java/cometd-java-client-common/pom.properties")) {
            pom.load(in);
        }
        Map<String, Object> about = new LinkedHashMap<>();
        about.put("kind", "about");
        about.put("client", "CometD (Java)");
        about.put("version", pom.getProperty("version"));
        about.put("cannot", Map.of());
        tell(about);
        Map<String, Conform8> apps = new LinkedHashMap<>();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            Map<String, Object> job = (Map<String, Object>) new JSON().fromJSON(line);
            String name = (String) job.get("client");
            if (job.get("cmd").equals("start")) {
                apps.put(name, new Conform8(job));
            } else if (apps.containsKey(name)) {
                apps.remove(name).client.abort();
            }
        }
        System.exit(0);
    }
}
