package interop;

import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;

/**
 * Drives a published CometD client by the line protocol that js/driver.mjs describes. A subclass says how its version of
 * the client is called.
 */
public abstract class Driver {
    /** The options of the command line. */
    protected final Map<String, Object> options;
    private final PrintStream out;
    private final Set<String> subscriptions = new LinkedHashSet<>();

    /** Takes what the answer to a command was. */
    public interface Done {
        void done(boolean ok, Object error);
    }

    protected Driver(String json) {
        options = object(parse(json));
        // Only our lines may stand on stdout: whatever the libraries print goes to stderr.
        out = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
        System.setOut(System.err);
    }

    /** Reads JSON. It is called before the constructor of the subclass. */
    protected abstract Object parse(String json);

    protected abstract String print(Object value);

    protected abstract void handshake(Done done);

    protected abstract void subscribe(String channel, Done done);

    protected abstract void unsubscribe(String channel, Done done);

    protected abstract void publish(String channel, Object data, Done done);

    /** Publishes with further fields of the message. */
    protected void publish(String channel, Object data, Map<String, Object> fields, Done done) {
        done.done(false, "further fields are not driven");
    }

    /** Makes a remote call. Done says that it has left: some calls have no answer. */
    protected void call(String target, Object data, Done done) {
        done.done(false, "remote calls are not driven");
    }

    protected abstract void disconnect(Done done);

    protected abstract void batch(Runnable run);

    @SuppressWarnings("unchecked")
    protected static Map<String, Object> object(Object value) {
        return (Map<String, Object>) value;
    }

    protected String url() {
        return (String) options.get("url");
    }

    protected String transport() {
        return (String) options.get("transport");
    }

    protected boolean ack() {
        return Boolean.TRUE.equals(options.get("ack"));
    }

    /** The options of the client that make it come back quickly; times are in milliseconds. */
    protected static Map<String, Object> quick() {
        Map<String, Object> options = new LinkedHashMap<>();
        options.put("backoffIncrement", 100L);
        options.put("maxBackoff", 500L);
        return options;
    }

    protected synchronized void tell(Map<String, Object> line) {
        out.println(print(line));
    }

    /** Tells what is driven, with the version that the artifact itself names. */
    protected void about(String artifact) throws IOException {
        Properties pom = new Properties();
        try (InputStream in = Driver.class.getResourceAsStream("/META-INF/maven/org.cometd.java/" + artifact + "/pom.properties")) {
            pom.load(in);
        }
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("kind", "about");
        line.put("client", "cometd (Java)");
        line.put("version", pom.getProperty("version"));
        line.put("cannot", Map.of());
        tell(line);
    }

    /** Tells a message of a subscription. */
    protected void received(String channel, Object data) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("kind", "message");
        line.put("channel", channel);
        line.put("data", data);
        tell(line);
    }

    /** Tells a message as it leaves ("sent") or has come ("received"), if the options ask for it. */
    protected void note(String kind, Map<String, Object> message) {
        if (Boolean.TRUE.equals(options.get("transcript"))) {
            Map<String, Object> line = new LinkedHashMap<>();
            line.put("kind", kind);
            line.put("channel", message.get("channel"));
            line.put("message", new LinkedHashMap<>(message));
            tell(line);
        }
    }

    /** Tells a reply to a meta message, and subscribes again in a new session, as an application must. */
    protected void replied(Map<String, Object> message, String transport) {
        boolean ok = Boolean.TRUE.equals(message.get("successful"));
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("kind", "meta");
        line.put("channel", message.get("channel"));
        line.put("ok", ok);
        for (String field : new String[] {"clientId", "subscription", "error", "advice"}) {
            if (message.get(field) != null) {
                line.put(field, message.get(field));
            }
        }
        if (message.get("failure") != null) {
            line.putIfAbsent("error", String.valueOf(object(message.get("failure")).get("exception")));
        }
        if (message.get("ext") != null) {
            line.put("ack", object(message.get("ext")).get("ack"));
        }
        line.put("transport", transport);
        // Before this is told: who hears it may subscribe at once.
        String[] before = subscribed();
        tell(line);
        if (ok && "/meta/handshake".equals(message.get("channel"))) {
            batch(() -> {
                for (String channel : before) {
                    subscribe(channel, (good, error) -> { });
                }
            });
        }
    }

    private String[] subscribed() {
        synchronized (subscriptions) {
            return subscriptions.toArray(new String[0]);
        }
    }

    private void run(Map<String, Object> command, Done done) {
        String channel = (String) command.get("channel");
        switch ((String) command.get("cmd")) {
            case "handshake" -> handshake(done);
            case "subscribe" -> {
                synchronized (subscriptions) {
                    subscriptions.add(channel);
                }
                subscribe(channel, done);
            }
            case "unsubscribe" -> {
                synchronized (subscriptions) {
                    subscriptions.remove(channel);
                }
                unsubscribe(channel, done);
            }
            case "publish" -> {
                if (command.get("props") == null) {
                    publish(channel, command.get("data"), done);
                } else {
                    publish(channel, command.get("data"), object(command.get("props")), done);
                }
            }
            case "call" -> call(channel, command.get("data"), done);
            case "disconnect" -> disconnect(done);
            case "batch" -> runBatch((Object[]) command.get("ops"), done);
            default -> done.done(false, "unknown command " + command.get("cmd"));
        }
    }

    private void runBatch(Object[] ops, Done done) {
        AtomicInteger open = new AtomicInteger(ops.length);
        AtomicReference<Object> failed = new AtomicReference<>();
        Done part = (ok, error) -> {
            if (!ok) {
                failed.compareAndSet(null, String.valueOf(error));
            }
            if (open.decrementAndGet() == 0) {
                done.done(failed.get() == null, failed.get());
            }
        };
        batch(() -> {
            for (Object op : ops) {
                run(object(op), part);
            }
        });
    }

    /** Takes commands until stdin ends, and the program with it. */
    protected void serve() throws IOException {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            Map<String, Object> command = object(parse(line));
            run(command, (ok, error) -> {
                Map<String, Object> reply = new LinkedHashMap<>();
                reply.put("kind", "reply");
                reply.put("seq", command.get("seq"));
                reply.put("ok", ok);
                if (error != null) {
                    reply.put("error", String.valueOf(error));
                }
                tell(reply);
            });
        }
        Runtime.getRuntime().halt(0);
    }
}
