// Decodes messages by Kafka's own classes and encodes them again: what the crate has to agree with.
//
// Reads and prints lines in the format of the example `recode`, except that an error is followed by
// its class, and makes batches besides. Answers each line as it comes.

import java.io.BufferedOutputStream;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import org.apache.kafka.common.errors.InvalidMetadataException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.Readable;

public class Oracle {
    private static final String[] PACKAGES = {
        "org.apache.kafka.common.message.",
        "org.apache.kafka.common.metadata.",
        "org.apache.kafka.coordinator.group.generated.",
        "org.apache.kafka.coordinator.share.generated.",
        "org.apache.kafka.coordinator.transaction.generated.",
        "org.apache.kafka.raft.generated.",
        "org.apache.kafka.server.log.remote.metadata.storage.generated.",
        "org.apache.kafka.storage.internals.log.generated.",
        "org.apache.kafka.storage.internals.log.",
        "org.apache.kafka.server.log.",
    };

    private static final Map<String, Constructor<?>> CONSTRUCTORS = new HashMap<>();

    public static void main(String[] arguments) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in), 1 << 16);
        PrintStream out = new PrintStream(new BufferedOutputStream(System.out, 1 << 16), false);
        String line;
        while ((line = in.readLine()) != null) {
            String answer;
            try {
                answer = answer(line.split("\t", -1));
            } catch (InvocationTargetException e) {
                answer = "error: " + text(e.getCause());
            } catch (Throwable e) {
                answer = "error: " + text(e);
            }
            out.print(answer + "\n");
            if (!in.ready()) {
                out.flush();
            }
        }
        out.flush();
    }

    private static String text(Throwable e) {
        return (e.getClass().getSimpleName() + " " + e.getMessage()).replace('\n', ' ');
    }

    private static String answer(String[] columns) throws Exception {
        String kind = columns[0];
        switch (kind) {
            case "batch":
                return Batches.json(HexFormat.of().parseHex(columns[4]));
            case "make":
                return HexFormat.of().formatHex(Batches.make(columns));
            case "marker":
                return HexFormat.of().formatHex(Batches.marker(columns));
            case "default":
                return written(constructor(columns[1], columns[2]).newInstance(), Short.parseShort(columns[3]));
            case "cross":
                return cross(columns);
            case "json":
                return json(columns);
            case "error":
                return error(Short.parseShort(columns[1]));
            case "api":
                return api(Short.parseShort(columns[1]));
            default:
        }
        short version = Short.parseShort(columns[3]);
        ByteBuffer from = ByteBuffer.wrap(HexFormat.of().parseHex(columns[4]));
        ByteBufferAccessor to = new ByteBufferAccessor(ByteBuffer.allocate(8 + 2 * from.remaining()));
        if (kind.endsWith("-frame")) {
            ApiKeys api = ApiKeys.forId(Short.parseShort(columns[1]));
            boolean request = kind.equals("request-frame");
            short header = request
                ? api.requestHeaderVersion(version) : api.responseHeaderVersion(version);
            recode(request ? "RequestHeaderData" : "ResponseHeaderData", header, from, to);
        }
        recode(name(kind, columns[2]), version, from, to);
        if (from.hasRemaining()) {
            throw new IllegalArgumentException(from.remaining() + " bytes are left over");
        }
        to.flip();
        byte[] bytes = new byte[to.buffer().remaining()];
        to.buffer().get(bytes);
        return HexFormat.of().formatHex(bytes);
    }

    // A message of one version written in another.
    private static String cross(String[] columns) throws Exception {
        ByteBuffer from = ByteBuffer.wrap(HexFormat.of().parseHex(columns[4]));
        Object message = constructor(name(columns[1], columns[2]))
            .newInstance(new ByteBufferAccessor(from), Short.parseShort(columns[3]));
        return written(message, Short.parseShort(columns[5]));
    }

    // The fields of a message by name, as Kafka's converter tells them; of records their size alone.
    private static String json(String[] columns) throws Exception {
        ByteBuffer from = ByteBuffer.wrap(HexFormat.of().parseHex(columns[4]));
        short version = Short.parseShort(columns[3]);
        Object message = constructor(name(columns[1], columns[2]))
            .newInstance(new ByteBufferAccessor(from), version);
        Class<?> type = message.getClass();
        return Class.forName(type.getName() + "JsonConverter")
            .getMethod("write", type, short.class, boolean.class)
            .invoke(null, message, version, false)
            .toString();
    }

    private static Constructor<?> constructor(String kind, String name) throws Exception {
        return constructor(name(kind, name)).getDeclaringClass().getConstructor();
    }

    private static String name(String kind, String name) {
        return kind.equals("data") || kind.equals("record") ? name : name + "Data";
    }

    private static String written(Object object, short version) {
        Message message = (Message) object;
        if (version < message.lowestSupportedVersion() || version > message.highestSupportedVersion()) {
            throw new IllegalArgumentException("no such version");
        }
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBufferAccessor to = new ByteBufferAccessor(ByteBuffer.allocate(message.size(cache, version)));
        message.write(to, cache, version);
        return HexFormat.of().formatHex(to.buffer().array());
    }

    // Name, whether it is retriable, and what is out of date then.
    private static String error(short code) {
        Errors error = Errors.forCode(code);
        if (error.code() != code) {
            return "unknown";
        }
        Exception e = error.exception();
        return error.name() + " " + (e instanceof RetriableException) + " "
            + (e instanceof InvalidMetadataException);
    }

    // Name, lowest and highest version, the highest stable one, header versions of the highest.
    private static String api(short key) {
        ApiKeys api = ApiKeys.forId(key);
        short latest = api.latestVersion();
        return api.name + " " + api.oldestVersion() + " " + latest + " " + api.latestVersion(false) + " "
            + api.requestHeaderVersion(latest) + " " + api.responseHeaderVersion(latest);
    }

    private static void recode(String name, short version, ByteBuffer from, ByteBufferAccessor to)
            throws Exception {
        Message message =
            (Message) constructor(name).newInstance(new ByteBufferAccessor(from), version);
        ObjectSerializationCache cache = new ObjectSerializationCache();
        int size = message.size(cache, version);
        int start = to.buffer().position();
        message.write(to, cache, version);
        if (to.buffer().position() - start != size) {
            throw new IllegalStateException("Kafka computed another size than it wrote");
        }
    }

    private static Constructor<?> constructor(String name) throws Exception {
        Constructor<?> known = CONSTRUCTORS.get(name);
        if (known != null) {
            return known;
        }
        for (String prefix : PACKAGES) {
            try {
                Constructor<?> found = Class.forName(prefix + name)
                    .getConstructor(Readable.class, short.class);
                CONSTRUCTORS.put(name, found);
                return found;
            } catch (ClassNotFoundException e) {
                // It may be in the next one.
            }
        }
        throw new ClassNotFoundException(name);
    }
}
