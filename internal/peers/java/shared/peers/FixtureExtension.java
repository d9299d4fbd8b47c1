package peers;

import org.cometd.bayeux.server.BayeuxServer;
import org.cometd.bayeux.server.ServerMessage;
import org.cometd.bayeux.server.ServerSession;
import org.cometd.server.ServerMessageImpl;

/** Deletes or answers what is published to its channels. */
final class FixtureExtension implements BayeuxServer.Extension {
    private static final String BASE = "/fixture/extension/";

    @Override
    public boolean rcv(ServerSession from, ServerMessage.Mutable message) {
        if ((BASE + "delete").equals(message.getChannel())) {
            return false;
        }
        if ((BASE + "answer").equals(message.getChannel())) {
            ServerMessageImpl reply = (ServerMessageImpl)message.getAssociated();
            reply.setSuccessful(true);
            reply.getExt(true).put("fixture", "answered");
            reply.setHandled(true);
            return false;
        }
        return true;
    }

    @Override
    public boolean send(ServerSession from, ServerSession to, ServerMessage.Mutable message) {
        return !(message.isPublishReply() && (BASE + "noreply").equals(message.getChannel()));
    }
}
