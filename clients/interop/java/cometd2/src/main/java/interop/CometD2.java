package interop;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.cometd.bayeux.Message;
import org.cometd.bayeux.client.ClientSessionChannel;
import org.cometd.client.BayeuxClient;
import org.cometd.client.ext.AckExtension;
import org.cometd.client.transport.ClientTransport;
import org.cometd.client.transport.LongPollingTransport;
import org.eclipse.jetty.util.ajax.JSON;

/** Drives the Java client of CometD 2. */
public final class CometD2 extends Driver {
    private final Map<String, ClientSessionChannel.MessageListener> listeners = new ConcurrentHashMap<>();
    private final BayeuxClient client;

    private CometD2(String json) {
        super(json);
        client = new BayeuxClient(url(), LongPollingTransport.create(null));
        quick().forEach(client::setOption);
        if (ack()) {
            client.addExtension(new AckExtension());
        }
        for (String name : new String[] {"handshake", "connect", "subscribe", "unsubscribe", "disconnect"}) {
            client.getChannel("/meta/" + name).addListener((ClientSessionChannel.MessageListener) (channel, message) -> {
                ClientTransport used = client.getTransport();
                replied(message, used == null ? "" : used.getName());
            });
        }
    }

    @Override
    protected Object parse(String json) {
        return new JSON().fromJSON(json);
    }

    @Override
    protected String print(Object value) {
        return new JSON().toJSON(value);
    }

    private static ClientSessionChannel.MessageListener answer(Done done) {
        return (channel, message) -> done.done(message.isSuccessful(), message.get(Message.ERROR_FIELD));
    }

    @Override
    protected void handshake(Done done) {
        client.handshake(answer(done));
    }

    @Override
    protected void subscribe(String channel, Done done) {
        ClientSessionChannel.MessageListener listener =
                listeners.computeIfAbsent(channel, name -> (at, message) -> received(message.getChannel(), message.getData()));
        client.getChannel(channel).subscribe(listener, answer(done));
    }

    @Override
    protected void unsubscribe(String channel, Done done) {
        client.getChannel(channel).unsubscribe(listeners.remove(channel), answer(done));
    }

    @Override
    protected void publish(String channel, Object data, Done done) {
        client.getChannel(channel).publish(data, answer(done));
    }

    @Override
    protected void disconnect(Done done) {
        client.disconnect(answer(done));
    }

    @Override
    protected void batch(Runnable run) {
        client.batch(run);
    }

    public static void main(String[] args) throws Exception {
        CometD2 driver = new CometD2(args[0]);
        driver.about("cometd-java-client");
        driver.serve();
    }
}
