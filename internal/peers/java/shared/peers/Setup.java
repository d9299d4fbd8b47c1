package peers;

import org.cometd.server.BayeuxServerImpl;
import org.cometd.server.ext.AcknowledgedMessagesExtension;
import org.cometd.server.ext.ActivityExtension;
import org.cometd.server.ext.BinaryExtension;
import org.cometd.server.ext.TimestampExtension;
import org.cometd.server.ext.TimesyncExtension;

/** What the options ask for besides CometD's own, read before the server is made and put into it afterwards. */
final class Setup {
    private final boolean ack;
    private final boolean timesync;
    private final boolean timestamp;
    private final boolean binary;
    private final ActivityExtension activity;
    private final boolean fixtures;
    private final boolean demo;

    Setup(Arguments args) {
        ack = args.flag("ack", true);
        timesync = args.flag("timesync", true);
        timestamp = args.flag("timestamp", false);
        binary = args.flag("binary", true);
        fixtures = args.flag("fixtures", false);
        demo = args.flag("demo", false);
        if (fixtures && demo) {
            throw new IllegalArgumentException("fixtures and demo do not go together: the demo denies what it does not know");
        }
        String period = args.text("activity");
        activity = period == null ? null : activity(period);
    }

    void into(BayeuxServerImpl bayeux) {
        if (ack) {
            bayeux.addExtension(new AcknowledgedMessagesExtension());
        }
        if (timesync) {
            bayeux.addExtension(new TimesyncExtension());
        }
        if (timestamp) {
            bayeux.addExtension(new TimestampExtension());
        }
        if (binary) {
            bayeux.addExtension(new BinaryExtension());
        }
        if (activity != null) {
            bayeux.addExtension(activity);
        }
        if (fixtures) {
            Fixtures.into(bayeux);
        }
        if (demo) {
            Chat.into(bayeux);
        }
    }

    private static ActivityExtension activity(String period) {
        String server = "server:";
        return period.startsWith(server)
            ? new ActivityExtension(ActivityExtension.Activity.CLIENT_SERVER, Long.parseLong(period.substring(server.length())))
            : new ActivityExtension(ActivityExtension.Activity.CLIENT, Long.parseLong(period));
    }
}
