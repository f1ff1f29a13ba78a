// Starts one Elasticsearch node from the published jars, in place of the distribution's own bootstrap, which wants
// modules that are not on Maven Central. Runs until SIGTERM, then closes the node in good order.
//
//   java -cp "lib/*:…" Launcher CONFIG_FOLDER setting=value …

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;

public final class Launcher {
    private static final long CLOSE_SECONDS_MAX = 10;

    public static void main(String[] arguments) {
        try {
            Path config = Path.of(arguments[0]);
            Settings settings = settings(Arrays.copyOfRange(arguments, 1, arguments.length));
            LogConfigurator.configureESLogging();
            LogConfigurator.configureWithoutConfig(settings);
            Node node = node(InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), config, () -> "node-1"));
            Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node)));
            node.start();
            // The node's own threads are daemons, so the process would end here without this.
            new CountDownLatch(1).await();
        } catch (Throwable error) {
            // Threads of a half-started node must not keep the process alive: whoever waits for it wants to know.
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
        }
    }

    private static Settings settings(String[] pairs) {
        Settings.Builder settings = Settings.builder();
        for (String pair : pairs) {
            String[] nameAndValue = pair.split("=", 2);
            settings.put(nameAndValue[0], nameAndValue[1]);
        }
        return settings.build();
    }

    private static Node node(Environment environment) throws Exception {
        var modules = PluginsLoader.loadModulesBundles(environment.modulesDir());
        var plugins = PluginsLoader.loadPluginsBundles(environment.pluginsDir());
        return new Node(environment, PluginsLoader.createPluginsLoader(modules, plugins, Map.of(), false));
    }

    private static void close(Node node) {
        try {
            node.prepareForClose();
            node.close();
            node.awaitClose(CLOSE_SECONDS_MAX, TimeUnit.SECONDS);
        } catch (Exception error) {
            error.printStackTrace();
        }
    }
}
