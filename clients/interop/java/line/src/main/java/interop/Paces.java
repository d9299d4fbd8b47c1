package interop;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.IntSupplier;

/**
 * Takes the extensions of a published CometD client through their paces, as js/extensions.mjs describes it. A subclass
 * says how its version of the client is called.
 */
public abstract class Paces {
    private static final long PATIENCE = 120_000;

    /** The options of the command line. */
    protected final Map<String, Object> options;
    /** What was seen; it is printed at the end. */
    protected final Map<String, Object> seen = new LinkedHashMap<>();
    private final PrintStream out;

    /** A step that may fail. */
    public interface Step {
        void run() throws Exception;
    }

    @SuppressWarnings("unchecked")
    protected Paces(String json) {
        options = (Map<String, Object>) parse(json);
        // Only our line may stand on stdout: whatever the libraries print goes to stderr.
        out = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
        System.setOut(System.err);
    }

    /** Reads JSON. It is called before the constructor of the subclass. */
    protected abstract Object parse(String json);

    protected abstract String print(Object value);

    /** Goes through the extensions and leaves in seen what it saw. */
    protected abstract void go() throws Exception;

    /** Runs it all and ends the program. */
    protected void run(String artifact) {
        try {
            seen.put("version", version(artifact));
            go();
            out.println(print(seen));
            Runtime.getRuntime().halt(0);
        } catch (Throwable x) {
            x.printStackTrace();
            Runtime.getRuntime().halt(1);
        }
    }

    private static String version(String artifact) throws IOException {
        Properties pom = new Properties();
        try (InputStream in = Paces.class.getResourceAsStream("/META-INF/maven/org.cometd.java/" + artifact + "/pom.properties")) {
            pom.load(in);
        }
        return pom.getProperty("version");
    }

    private long number(String option) {
        return ((Number) options.get(option)).longValue();
    }

    protected static <T> T await(CompletableFuture<T> future) throws Exception {
        return future.get(PATIENCE, TimeUnit.MILLISECONDS);
    }

    protected static void until(String what, BooleanSupplier condition) throws Exception {
        for (long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(PATIENCE); !condition.getAsBoolean(); Thread.sleep(5)) {
            if (System.nanoTime() > end) {
                throw new IllegalStateException("waited in vain for " + what);
            }
        }
    }

    /** Measures the server's clock until a measurement is as good as it has to be, or often enough. */
    protected void clock(IntSupplier offset, IntSupplier lag, Object held, Step sample) throws Exception {
        List<Object> rounds = new ArrayList<>();
        long off;
        do {
            for (int i = 0; i < 10; ++i) {
                sample.run();
            }
            off = offset.getAsInt();
            rounds.add(Map.of("offset", off, "lag", lag.getAsInt(), "held", held));
        } while (rounds.size() < number("rounds") && Math.abs(off - number("skew")) > number("within"));
        seen.put("timesync", rounds);
    }

    /** The bytes of the message with that number. */
    protected static byte[] made(int number, int length) {
        byte[] bytes = new byte[length];
        for (int i = 0; i < length; ++i) {
            bytes[i] = (byte) (number * 31 + i * 7 + (i >> 8));
        }
        return bytes;
    }

    /** Describes the content of a binary message. */
    protected static Map<String, Object> digest(byte[] bytes, boolean last, Object meta) {
        Map<String, Object> set = new LinkedHashMap<>();
        set.put("length", bytes.length);
        try {
            set.put("hash", HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes)));
        } catch (java.security.NoSuchAlgorithmException x) {
            throw new IllegalStateException(x);
        }
        set.put("last", last);
        if (meta != null) {
            set.put("meta", meta);
        }
        return set;
    }
}
