package peers;

import java.util.Map;

import org.cometd.bayeux.Promise;
import org.cometd.bayeux.server.BayeuxServer;
import org.cometd.bayeux.server.ServerChannel;
import org.cometd.bayeux.server.ServerMessage;
import org.cometd.bayeux.server.ServerSession;
import org.cometd.server.DefaultSecurityPolicy;

/** CometD's default policy with the refusals of the fixtures. */
final class FixturePolicy extends DefaultSecurityPolicy {
    private static final String DENIED = "/fixture/denied/";
    private static final long MOST_MESSAGES = 100;

    /** A handshake may ask for a refusal, for connect-only delivery, or for messages to be delivered while it is processed. */
    @Override
    public boolean canHandshake(BayeuxServer server, ServerSession session, ServerMessage message) {
        if (session.isLocalSession() || message.getExt() == null || !(message.getExt().get("fixture") instanceof Map<?, ?> wish)) {
            return super.canHandshake(server, session, message);
        }
        if (Boolean.TRUE.equals(wish.get("deny"))) {
            if (wish.get("reconnect") instanceof String reconnect) {
                ServerMessage.Mutable reply = message.getAssociated();
                reply.getAdvice(true).put("reconnect", reconnect);
                reply.getExt(true).put("fixture", "denied");
            }
            return false;
        }
        if (Boolean.TRUE.equals(wish.get("connectOnly"))) {
            session.setMetaConnectDeliveryOnly(true);
        }
        long count = wish.get("deliver") instanceof Number number ? Math.min(number.longValue(), MOST_MESSAGES) : 0;
        for (long i = 1; i <= count; i++) {
            session.deliver(null, "/fixture/handshake", i, Promise.noop());
        }
        return super.canHandshake(server, session, message);
    }

    @Override
    public boolean canCreate(BayeuxServer server, ServerSession session, String channel, ServerMessage message) {
        boolean denied = !session.isLocalSession() && (channel + "/").startsWith(DENIED + "create/");
        return !denied && super.canCreate(server, session, channel, message);
    }

    @Override
    public boolean canSubscribe(BayeuxServer server, ServerSession session, ServerChannel channel, ServerMessage message) {
        return !denies(session, channel, "subscribe") && super.canSubscribe(server, session, channel, message);
    }

    @Override
    public boolean canPublish(BayeuxServer server, ServerSession session, ServerChannel channel, ServerMessage message) {
        return !denies(session, channel, "publish") && super.canPublish(server, session, channel, message);
    }

    private static boolean denies(ServerSession session, ServerChannel channel, String operation) {
        return !session.isLocalSession() && channel.getId().equals(DENIED + operation);
    }
}
