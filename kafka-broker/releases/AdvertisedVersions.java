import java.lang.reflect.Method;
import java.util.Collection;
import java.util.Map;
import java.util.TreeMap;

/** Prints what a broker of the release on the class path serves to clients: key, name, oldest, newest. */
public class AdvertisedVersions {
    public static void main(String[] arguments) throws Exception {
        Class<?> keys = Class.forName("org.apache.kafka.common.protocol.ApiKeys");
        Map<Integer, String> rows = new TreeMap<>();
        for (Object key : keys.getEnumConstants()) {
            if (!isForClients(keys, key)) {
                continue;
            }
            int id = ((Number) keys.getField("id").get(key)).intValue();
            Object name = keys.getField("name").get(key);
            short oldest = (short) keys.getMethod("oldestVersion").invoke(key);
            short newest = newestStable(keys, key);
            if (oldest <= newest) {
                rows.put(id, id + "\t" + name + "\t" + oldest + "\t" + newest);
            }
        }
        rows.values().forEach(System.out::println);
    }

    /** Before listeners were named in the specs, brokers told everybody of every key. */
    private static boolean isForClients(Class<?> keys, Object key) throws Exception {
        Method inScope = null;
        Class<?> listener = null;
        for (Class<?> type : new Class<?>[] {find("org.apache.kafka.common.message.ApiMessageType$ListenerType"),
                find("org.apache.kafka.common.message.ApiMessageType$ApiScope")}) {
            if (type != null) {
                listener = type;
            }
        }
        if (listener == null) {
            return true;
        }
        for (Method method : keys.getMethods()) {
            if (method.getName().equals("inScope")) {
                inScope = method;
            }
        }
        for (Object one : listener.getEnumConstants()) {
            boolean isBroker = one.toString().equals("BROKER") || one.toString().equals("ZK_BROKER");
            if (isBroker && (boolean) inScope.invoke(key, one)) {
                return true;
            }
        }
        return false;
    }

    private static short newestStable(Class<?> keys, Object key) throws Exception {
        try {
            return (short) keys.getMethod("latestVersion", boolean.class).invoke(key, false);
        } catch (NoSuchMethodException before) {
            return (short) keys.getMethod("latestVersion").invoke(key);
        }
    }

    private static Class<?> find(String name) {
        try {
            return Class.forName(name);
        } catch (ClassNotFoundException absent) {
            return null;
        }
    }
}
