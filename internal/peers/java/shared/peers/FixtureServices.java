package peers;

import java.util.Map;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

import org.cometd.bayeux.Promise;
import org.cometd.bayeux.server.BayeuxServer;
import org.cometd.bayeux.server.ServerChannel;
import org.cometd.bayeux.server.ServerMessage;
import org.cometd.bayeux.server.ServerSession;

/** Services by which a client has the server act on a session: its own, unless it names another. */
final class FixtureServices {
    private static final String BASE = "/service/fixture/";
    private static final long MOST_MILLIS = 60_000;
    private static final long MOST_MESSAGES = 1000;

    private final BayeuxServer bayeux;
    private final ScheduledExecutorService timer;

    FixtureServices(BayeuxServer bayeux) {
        this.bayeux = bayeux;
        timer = new ScheduledThreadPoolExecutor(1, task -> {
            Thread thread = new Thread(task, "fixture-timer");
            thread.setDaemon(true);
            return thread;
        });
    }

    void install() {
        Fixtures.create(bayeux, BASE + "echo", channel -> channel.addListener(new Echo()));
        serve("deliver", (session, data) -> messages(data, message -> session.deliver(null, message, Promise.noop())));
        serve("publish", (session, data) -> messages(data, this::publish));
        serve("disconnect", (session, data) -> session.disconnect());
        serve("remove", (session, data) -> bayeux.removeSession(session));
        serve("configure", FixtureServices::configure);
    }

    /** What a service does for a session. */
    private interface Action {
        void run(ServerSession session, Map<String, Object> data);
    }

    private void serve(String name, Action action) {
        Fixtures.create(bayeux, BASE + name, channel -> channel.addListener(new Service(action)));
    }

    private void publish(ServerMessage.Mutable message) {
        ServerChannel channel = bayeux.createChannelIfAbsent(message.getChannel()).getReference();
        channel.publish(null, message, Promise.noop());
    }

    private void messages(Map<String, Object> data, Consumer<ServerMessage.Mutable> send) {
        if (!(data.get("channel") instanceof String channel) || !channel.startsWith("/")) {
            throw new IllegalArgumentException("no channel");
        }
        Number count = (Number)data.get("count");
        if (count == null) {
            send.accept(message(channel, data.get("data"), data));
            return;
        }
        for (long i = 1; i <= Math.min(count.longValue(), MOST_MESSAGES); i++) {
            send.accept(message(channel, i, data));
        }
    }

    private ServerMessage.Mutable message(String channel, Object content, Map<String, Object> data) {
        ServerMessage.Mutable message = bayeux.newMessage();
        message.setChannel(channel);
        message.setData(content);
        message.setLazy(Boolean.TRUE.equals(data.get("lazy")));
        return message;
    }

    private static void configure(ServerSession session, Map<String, Object> data) {
        if (data.get("timeout") instanceof Number millis) {
            session.setTimeout(millis.longValue());
        }
        if (data.get("interval") instanceof Number millis) {
            session.setInterval(millis.longValue());
        }
        if (data.get("maxInterval") instanceof Number millis) {
            session.setMaxInterval(millis.longValue());
        }
        if (data.get("metaConnectDeliverOnly") instanceof Boolean on) {
            session.setMetaConnectDeliveryOnly(on);
        }
        if (data.get("broadcastToPublisher") instanceof Boolean on) {
            session.setBroadcastToPublisher(on);
        }
    }

    /** Sends what was published back to the publisher, on the same channel. */
    private static final class Echo implements ServerChannel.MessageListener {
        @Override
        public boolean onMessage(ServerSession from, ServerChannel channel, ServerMessage.Mutable message) {
            from.deliver(null, channel.getId(), message.getData(), Promise.noop());
            return true;
        }
    }

    /** Runs an action at once or after data.delayMs; refuses what it does not understand. */
    private final class Service implements ServerChannel.MessageListener {
        private final Action action;

        private Service(Action action) {
            this.action = action;
        }

        @Override
        public boolean onMessage(ServerSession from, ServerChannel channel, ServerMessage.Mutable message) {
            Map<String, Object> data = message.getData() instanceof Map ? message.getDataAsMap() : Map.of();
            ServerSession session = data.get("session") instanceof String id ? bayeux.getSession(id) : from;
            if (session == null) {
                return false;
            }
            long delay = data.get("delayMs") instanceof Number millis ? Math.min(millis.longValue(), MOST_MILLIS) : 0;
            if (delay > 0) {
                timer.schedule(() -> action.run(session, data), delay, TimeUnit.MILLISECONDS);
                return true;
            }
            try {
                action.run(session, data);
                return true;
            } catch (RuntimeException wrong) {
                return false;
            }
        }
    }
}
