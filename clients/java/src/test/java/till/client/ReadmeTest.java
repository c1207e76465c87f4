package till.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import javax.tools.DiagnosticCollector;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Compiles the examples of the README. */
class ReadmeTest {
    private static final Pattern EXAMPLE = Pattern.compile("```java\n(.*?)```", Pattern.DOTALL);
    // The names that the examples take from their surroundings.
    private static final String SURROUNDINGS = """
            import com.google.protobuf.Timestamp;
            import io.grpc.*;
            import io.grpc.inprocess.*;
            import java.io.*;
            import java.nio.file.*;
            import java.time.*;
            import java.util.*;
            import java.util.concurrent.*;
            import till.client.*;
            import till.v1.*;
            abstract class Example {
                Map<String, String> secrets;
                LookupInvoiceRequest request;
                Invoice invoice;
                Executor executor;
                ClientInterceptor tracing;
                abstract void show(Invoice invoice);
                abstract void showNothing();
                abstract void tryAgainAfter(Duration delay);
                abstract void log(String text);
                abstract void deliver(Invoice invoice);
                abstract OptionalLong load();
                abstract void store(String id, String secret);
                abstract void handle(Invoice invoice, long sequence);
            """;

    @TempDir
    private Path output;

    @Test
    void theExamplesCompile() throws IOException {
        var examples = EXAMPLE.matcher(Files.readString(Path.of("README.md"))).results().map(found -> found.group(1)).toList();
        assertTrue(examples.size() > 5, "the README has " + examples.size() + " examples");
        for (String example : examples) {
            if (example.contains("class ")) {
                assertEquals(List.of(), faults("Coffee", example));
            } else {
                String till = example.contains("var till") ? "" : "TillClient till;";
                assertEquals(
                        List.of(), faults("Example", SURROUNDINGS + till + "void run() throws Exception {" + example + "}}"));
            }
        }
    }

    private List<Object> faults(String name, String source) {
        var found = new DiagnosticCollector<JavaFileObject>();
        var file = new SimpleJavaFileObject(URI.create(name + ".java"), JavaFileObject.Kind.SOURCE) {
            @Override
            public CharSequence getCharContent(boolean ignoreEncodingErrors) {
                return source;
            }
        };
        var options = List.of("-d", output.toString(), "-cp", System.getProperty("java.class.path"));
        ToolProvider.getSystemJavaCompiler().getTask(null, null, found, options, null, List.of(file)).call();
        return new ArrayList<>(found.getDiagnostics());
    }
}
