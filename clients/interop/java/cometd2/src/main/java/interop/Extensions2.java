package interop;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import org.cometd.bayeux.Channel;
import org.cometd.bayeux.Message;
import org.cometd.bayeux.client.ClientSession;
import org.cometd.bayeux.client.ClientSessionChannel;
import org.cometd.client.BayeuxClient;
import org.cometd.client.ext.AckExtension;
import org.cometd.client.ext.TimestampClientExtension;
import org.cometd.client.ext.TimesyncClientExtension;
import org.cometd.client.transport.LongPollingTransport;
import org.eclipse.jetty.util.ajax.JSON;

/** Takes the extensions of the Java client of CometD 2 through their paces; it has none for binary data. */
public final class Extensions2 extends Paces {
    private Extensions2(String json) {
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

    private BayeuxClient client(String server, ClientSession.Extension... extensions) {
        BayeuxClient client = new BayeuxClient((String) options.get(server), LongPollingTransport.create(null));
        for (ClientSession.Extension extension : extensions) {
            client.addExtension(extension);
        }
        return client;
    }

    /** Something that takes a listener for the reply to a message. */
    private interface Call {
        void with(ClientSessionChannel.MessageListener listener);
    }

    private static CompletableFuture<Message> start(Call call) {
        CompletableFuture<Message> done = new CompletableFuture<>();
        call.with((channel, reply) -> {
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
        Map<String, Object> stamps = new HashMap<>();
        stamps.put("handshake", handshake.get(Message.TIMESTAMP_FIELD));
        stamps.put("message", await(got).get(Message.TIMESTAMP_FIELD));
        stamps.put("reply", reply.get(Message.TIMESTAMP_FIELD));
        stamps.values().removeIf(stamp -> stamp == null);
        disconnect(client);
        return stamps;
    }

    public static void main(String[] args) {
        new Extensions2(args[0]).run("cometd-java-client");
    }
}
