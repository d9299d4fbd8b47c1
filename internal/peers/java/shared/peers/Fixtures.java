package peers;

import java.util.function.BiFunction;

import org.cometd.annotation.server.ServerAnnotationProcessor;
import org.cometd.bayeux.ChannelId;
import org.cometd.bayeux.server.Authorizer;
import org.cometd.bayeux.server.Authorizer.Operation;
import org.cometd.bayeux.server.Authorizer.Result;
import org.cometd.bayeux.server.BayeuxServer;
import org.cometd.bayeux.server.ConfigurableServerChannel;
import org.cometd.bayeux.server.ServerChannel;
import org.cometd.bayeux.server.ServerMessage;
import org.cometd.bayeux.server.ServerSession;

/** The channels and services of docs/FIXTURES.md, for suites that need more of a server than its wire. */
final class Fixtures {
    private static final long LAZY_MILLIS = 1000;
    private static final String REASON = "fixture_denied";

    private Fixtures() {
    }

    static void into(BayeuxServer bayeux) {
        bayeux.setSecurityPolicy(new FixturePolicy());
        bayeux.addExtension(new FixtureExtension());
        channels(bayeux);
        authorizers(bayeux);
        new FixtureServices(bayeux).install();
        new ServerAnnotationProcessor(bayeux).process(new FixtureCalls());
        // Without a listener the option maxQueue has no effect in CometD.
        bayeux.addListener(new EndsFullSessions(bayeux));
    }

    private static void channels(BayeuxServer bayeux) {
        create(bayeux, "/fixture/persistent", channel -> { });
        create(bayeux, "/fixture/lazy", channel -> channel.setLazyTimeout(LAZY_MILLIS));
        create(bayeux, "/fixture/lazy/default", channel -> channel.setLazy(true));
        create(bayeux, "/fixture/lazy/all/*", channel -> channel.setLazy(true));
        create(bayeux, "/fixture/noecho", channel -> channel.setBroadcastToPublisher(false));
        create(bayeux, "/fixture/veto", channel -> channel.addListener(new Veto()));
    }

    private static void authorizers(BayeuxServer bayeux) {
        String base = "/fixture/authorizer/";
        authorize(bayeux, base + "ignore", (operation, channel) -> Result.ignore());
        authorize(bayeux, base + "deny", (operation, channel) -> Result.deny(REASON));
        authorize(bayeux, base + "grant", (operation, channel) -> Result.grant());
        authorize(bayeux, base + "both", (operation, channel) -> Result.grant());
        authorize(bayeux, base + "both", (operation, channel) -> Result.deny(REASON));
        authorize(bayeux, base + "subscribe", (operation, channel) -> grantIf(operation == Operation.SUBSCRIBE));
        authorize(bayeux, base + "publish", (operation, channel) -> grantIf(operation == Operation.PUBLISH));
        authorize(bayeux, base + "create/*",
            (operation, channel) -> operation == Operation.CREATE ? Result.deny(REASON) : Result.grant());
        authorize(bayeux, base + "wild/**", (operation, channel) -> Result.ignore());
        authorize(bayeux, base + "wild/open", (operation, channel) -> Result.grant());
    }

    private static Result grantIf(boolean granted) {
        return granted ? Result.grant() : Result.ignore();
    }

    private static void authorize(BayeuxServer bayeux, String channel, BiFunction<Operation, ChannelId, Result> verdict) {
        create(bayeux, channel, c -> c.addAuthorizer(new Authorizer() {
            @Override
            public Result authorize(Operation operation, ChannelId id, ServerSession session, ServerMessage message) {
                return verdict.apply(operation, id);
            }
        }));
    }

    static void create(BayeuxServer bayeux, String channel, ConfigurableServerChannel.Initializer initializer) {
        bayeux.createChannelIfAbsent(channel, c -> c.setPersistent(true));
        initializer.configureChannel(bayeux.getChannel(channel));
    }

    /** Refuses all that is published. */
    private static final class Veto implements ServerChannel.MessageListener {
        @Override
        public boolean onMessage(ServerSession from, ServerChannel channel, ServerMessage.Mutable message) {
            return false;
        }
    }

    /** Removes sessions that have more messages queued than the option maxQueue allows. */
    private static final class EndsFullSessions implements BayeuxServer.SessionListener {
        private final BayeuxServer bayeux;

        private EndsFullSessions(BayeuxServer bayeux) {
            this.bayeux = bayeux;
        }

        @Override
        public void sessionAdded(ServerSession session, ServerMessage message) {
            session.addListener((ServerSession.QueueMaxedListener)(full, queue, sender, last) -> {
                bayeux.removeSession(full);
                return false;
            });
        }
    }
}
