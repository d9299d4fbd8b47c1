package interop;

import jakarta.websocket.ContainerProvider;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.cometd.bayeux.Message;
import org.cometd.bayeux.client.ClientSession;
import org.cometd.bayeux.client.ClientSessionChannel;
import org.cometd.client.BayeuxClient;
import org.cometd.client.ext.AckExtension;
import org.cometd.client.http.jetty.JettyHttpClientTransport;
import org.cometd.client.transport.ClientTransport;
import org.cometd.client.websocket.jakarta.WebSocketTransport;
import org.cometd.common.HashMapMessage;
import org.eclipse.jetty.client.HttpClient;
import org.eclipse.jetty.http2.client.HTTP2Client;
import org.eclipse.jetty.http2.client.transport.HttpClientTransportOverHTTP2;
import org.eclipse.jetty.util.ajax.JSON;
import org.glassfish.tyrus.client.ClientManager;
import org.glassfish.tyrus.client.ClientProperties;

/** Drives the Java client of CometD 8. */
public final class CometD8 extends Driver {
    private final Map<String, ClientSessionChannel.MessageListener> listeners = new ConcurrentHashMap<>();
    private final BayeuxClient client;
    private ClientManager tyrus;

    private CometD8(String json) throws Exception {
        super(json);
        client = new BayeuxClient(url(), newTransport());
        quick().forEach(client::setOption);
        if (ack()) {
            client.addExtension(new AckExtension());
        }
        client.addExtension(new Transcript());
        for (String name : new String[] {"handshake", "connect", "subscribe", "unsubscribe", "disconnect"}) {
            client.getChannel("/meta/" + name).addListener((ClientSessionChannel.MessageListener) (channel, message) -> {
                ClientTransport used = client.getTransport();
                replied(message, used == null ? "" : used.getName());
            });
        }
    }

    /** Notes all messages. */
    private final class Transcript implements ClientSession.Extension {
        @Override
        public boolean sendMeta(ClientSession session, Message.Mutable message) {
            note("sent", message);
            return true;
        }

        @Override
        public boolean send(ClientSession session, Message.Mutable message) {
            note("sent", message);
            return true;
        }

        @Override
        public boolean rcvMeta(ClientSession session, Message.Mutable message) {
            note("received", message);
            return true;
        }

        @Override
        public boolean rcv(ClientSession session, Message.Mutable message) {
            note("received", message);
            return true;
        }
    }

    private ClientTransport newTransport() throws Exception {
        if (transport().equals("websocket")) {
            tyrus = (ClientManager) ContainerProvider.getWebSocketContainer();
            return new WebSocketTransport(null, null, tyrus);
        }
        // Its default goes on with HTTP/1.1 where HTTP/2 is not offered, and a test would not notice.
        HttpClient http = Boolean.TRUE.equals(options.get("http2"))
                ? new HttpClient(new HttpClientTransportOverHTTP2(new HTTP2Client()))
                : new HttpClient();
        http.start();
        return new JettyHttpClientTransport(null, http);
    }

    @Override
    protected Object parse(String json) {
        return new JSON().fromJSON(json);
    }

    @Override
    protected String print(Object value) {
        return new JSON().toJSON(value);
    }

    private static ClientSession.MessageListener answer(Done done) {
        return message -> done.done(message.isSuccessful(), message.get(Message.ERROR_FIELD));
    }

    @Override
    protected void handshake(Done done) {
        client.handshake(message -> {
            if (message.isSuccessful()) {
                hurry();
            }
            done.done(message.isSuccessful(), message.get(Message.ERROR_FIELD));
        });
    }

    /** An upgrade that is cut off goes unnoticed for this long, by default for 30 s; the first one, of a machine that is cold, may take its time. */
    private void hurry() {
        if (tyrus != null && url().startsWith("http:")) {
            tyrus.getProperties().put(ClientProperties.HANDSHAKE_TIMEOUT, 2000);
        }
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
    protected void publish(String channel, Object data, Map<String, Object> fields, Done done) {
        Message.Mutable message = new HashMapMessage();
        message.putAll(fields);
        message.setData(data);
        client.getChannel(channel).publish(message, answer(done));
    }

    @Override
    protected void call(String target, Object data, Done done) {
        client.remoteCall(target, data, message -> { });
        done.done(true, null);
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
        CometD8 driver = new CometD8(args[0]);
        driver.about("cometd-java-client-common");
        driver.serve();
    }
}
