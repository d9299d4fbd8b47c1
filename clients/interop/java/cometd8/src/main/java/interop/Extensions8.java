package interop;

import jakarta.websocket.ContainerProvider;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import org.cometd.bayeux.BinaryData;
import org.cometd.bayeux.Channel;
import org.cometd.bayeux.Message;
import org.cometd.bayeux.client.ClientSession;
import org.cometd.bayeux.client.ClientSessionChannel;
import org.cometd.client.BayeuxClient;
import org.cometd.client.ext.AckExtension;
import org.cometd.client.ext.BinaryExtension;
import org.cometd.client.ext.TimestampClientExtension;
import org.cometd.client.ext.TimesyncClientExtension;
import org.cometd.client.http.jetty.JettyHttpClientTransport;
import org.cometd.client.transport.ClientTransport;
import org.cometd.client.websocket.jakarta.WebSocketTransport;
import org.eclipse.jetty.client.HttpClient;
import org.eclipse.jetty.util.ajax.JSON;

/** Takes the extensions of the Java client of CometD 8 through their paces. */
public final class Extensions8 extends Paces {
    private static final int SMALL = 64;
    private static final int PART = 32 << 10;
    private static final int PARTS = 32;

    private Extensions8(String json) {
        super(json);
    }

    @Override
    protected Object parse(String json) {
        return new JSON().fromJSON(json);
    }

    @Override
    protected String print(Object value) {
        return new JSON().toJSON(value);
    }

    private BayeuxClient client(String server, ClientSession.Extension... extensions) throws Exception {
        BayeuxClient client = new BayeuxClient((String) options.get(server), transport());
        for (ClientSession.Extension extension : extensions) {
            client.addExtension(extension);
        }
        return client;
    }

    private ClientTransport transport() throws Exception {
        if ("websocket".equals(options.get("transport"))) {
            return new WebSocketTransport(null, null, ContainerProvider.getWebSocketContainer());
        }
        HttpClient http = new HttpClient();
        http.start();
        return new JettyHttpClientTransport(null, http);
    }

    /** Something that takes a listener for the reply to a message. */
    private interface Call {
        void with(ClientSession.MessageListener listener);
    }

    private static CompletableFuture<Message> start(Call call) {
        CompletableFuture<Message> done = new CompletableFuture<>();
        call.with(reply -> {
            if (reply.isSuccessful()) {
                done.complete(reply);
            } else {
                done.completeExceptionally(new IllegalStateException(String.valueOf(reply)));
            }
        });
        return done;
    }

    private static Message did(Call call) throws Exception {
        return await(start(call));
    }

    /** Whatever the outcome, it is over: a connect may have overtaken it. */
    private static void disconnect(BayeuxClient client) throws Exception {
        await(start(client::disconnect).handle((reply, failure) -> reply));
    }

    private static void subscribe(BayeuxClient client, String channel, ClientSessionChannel.MessageListener listener) throws Exception {
        did(done -> client.getChannel(channel).subscribe(listener, done));
    }

    @Override
    protected void go() throws Exception {
        timesync();
        seen.put("plain", timestamp("plain"));
        seen.put("stamped", timestamp("stamped"));
        seen.put("binary", binary());
    }

    private void timesync() throws Exception {
        TimesyncClientExtension sync = new TimesyncClientExtension();
        BayeuxClient client = client("plain", new AckExtension(), sync);
        List<Message> connects = new CopyOnWriteArrayList<>();
        client.getChannel(Channel.META_CONNECT).addListener((ClientSessionChannel.MessageListener) (channel, message) -> connects.add(message));
        did(client::handshake);
        until("a held connect", () -> connects.size() > 2);
        Object held = ((Map<?, ?>) connects.get(1).getExt().get("timesync")).get("p");
        clock(sync::getOffset, sync::getLag, held, () -> subscribe(client, "/sync/" + System.nanoTime(), (channel, message) -> { }));
        disconnect(client);
        seen.put("acks", connects.stream().filter(Message::isSuccessful).map(m -> m.getExt().get("ack")).filter(n -> n != null).toList());
    }

    private Map<String, Object> timestamp(String server) throws Exception {
        BayeuxClient client = client(server, new TimestampClientExtension());
        CompletableFuture<Message> got = new CompletableFuture<>();
        Message handshake = did(client::handshake);
        subscribe(client, "/stamp", (channel, message) -> got.complete(message));
        Message reply = did(done -> client.getChannel("/stamp").publish(1, done));
        Map<String, Object> stamps = new java.util.HashMap<>();
        stamps.put("handshake", handshake.get(Message.TIMESTAMP_FIELD));
        stamps.put("message", await(got).get(Message.TIMESTAMP_FIELD));
        stamps.put("reply", reply.get(Message.TIMESTAMP_FIELD));
        stamps.values().removeIf(stamp -> stamp == null);
        disconnect(client);
        return stamps;
    }

    private static ClientSessionChannel.MessageListener into(List<Object> sets) {
        return (channel, message) -> {
            if (!message.isPublishReply()) {
                BinaryData data = (BinaryData) message.getData();
                sets.add(digest(data.asBytes(), data.isLast(), data.getMetaData()));
            }
        };
    }

    private Map<String, Object> binary() throws Exception {
        BayeuxClient sender = client("plain", new BinaryExtension());
        BayeuxClient receiver = client("plain", new BinaryExtension());
        List<Object> relayed = new CopyOnWriteArrayList<>();
        List<Object> parts = new CopyOnWriteArrayList<>();
        List<Object> reversed = new CopyOnWriteArrayList<>();
        List<Object> published = new CopyOnWriteArrayList<>();
        did(receiver::handshake);
        subscribe(receiver, "/binary/small", into(relayed));
        subscribe(receiver, "/binary/large", into(parts));
        subscribe(receiver, "/binary/server", into(published));
        CompletableFuture<Message> connected = new CompletableFuture<>();
        sender.getChannel(Channel.META_CONNECT).addListener((ClientSessionChannel.MessageListener) (channel, message) -> connected.complete(message));
        did(sender::handshake);
        await(connected); // until then the client may send a batch in two requests, of which either can be the first
        sender.getChannel("/service/reverse").addListener(into(reversed));

        for (String channel : List.of("/binary/small", "/service/reverse")) {
            List<CompletableFuture<Message>> replies = new java.util.ArrayList<>();
            sender.batch(() -> {
                for (int n = 0; n <= SMALL; ++n) {
                    BinaryData data = new BinaryData(made(n, n), n % 2 == 0, Map.of("n", n));
                    replies.add(start(done -> sender.getChannel(channel).publish(data, done)));
                }
            });
            for (CompletableFuture<Message> reply : replies) {
                await(reply);
            }
        }
        for (int n = 0; n < PARTS; ++n) {
            BinaryData data = new BinaryData(made(n, PART), n == PARTS - 1, null);
            did(done -> sender.getChannel("/binary/large").publish(data, done));
        }
        until("all bytes", () -> relayed.size() > SMALL && parts.size() >= PARTS && reversed.size() > SMALL && published.size() > SMALL);
        disconnect(sender);
        disconnect(receiver);
        return Map.of("relayed", relayed, "parts", parts, "reversed", reversed, "published", published);
    }

    public static void main(String[] args) {
        new Extensions8(args[0]).run("cometd-java-client-common");
    }
}
