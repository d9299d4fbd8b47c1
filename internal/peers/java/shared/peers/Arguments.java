package peers;

import java.util.Map;
import java.util.TreeMap;

/** The command line of a server: PORT [name=value ...]. What is no option of ours is one of CometD. */
final class Arguments {
    private final int port;
    private final Map<String, String> options = new TreeMap<>();

    Arguments(String[] args) {
        if (args.length == 0) {
            throw new IllegalArgumentException("usage: PORT [name=value ...]; port 0 is any free one");
        }
        port = Integer.parseInt(args[0]);
        for (int i = 1; i < args.length; i++) {
            int equals = args[i].indexOf('=');
            if (equals < 1) {
                throw new IllegalArgumentException(args[i] + " is not name=value");
            }
            options.put(args[i].substring(0, equals), args[i].substring(equals + 1));
        }
    }

    int port() {
        return port;
    }

    /** Takes an option of ours: CometD does not see it. */
    boolean flag(String name, boolean standard) {
        String value = options.remove(name);
        return value == null ? standard : Boolean.parseBoolean(value);
    }

    /** The options that were not taken, for CometD. */
    Map<String, String> cometd() {
        return options;
    }

    /** Takes an option of ours that may be missing. */
    String text(String name) {
        return options.remove(name);
    }
}
