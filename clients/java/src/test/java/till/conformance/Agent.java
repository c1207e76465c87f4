package till.conformance;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.protobuf.MessageOrBuilder;
import com.google.protobuf.util.JsonFormat;
import io.grpc.Context;
import io.grpc.Context.CancellableContext;
import io.grpc.StatusRuntimeException;
import io.grpc.TlsChannelCredentials;
import java.io.BufferedReader;
import java.io.File;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import till.client.TillClient;
import till.client.TillError;
import till.client.Watch;
import till.v1.CreateInvoiceRequest;
import till.v1.GetInfoRequest;
import till.v1.GetInvoiceByIdRequest;
import till.v1.GetInvoiceRequest;
import till.v1.LookupInvoiceRequest;
import till.v1.WatchInvoiceRequest;
import till.v1.WatchInvoiceResponse;

/** The agent of the Java client: see clients/conformance/README.md. */
final class Agent {
    private final PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
    private final ExecutorService threads = Executors.newCachedThreadPool();
    // What was begun, by its id.
    private final Map<Long, CancellableContext> begun = new ConcurrentHashMap<>();
    private TillClient till;

    public static void main(String[] arguments) throws IOException, InterruptedException {
        new Agent().run();
    }

    /** Goes on to the end of standard input. */
    private void run() throws IOException, InterruptedException {
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            JsonObject told = JsonParser.parseString(line).getAsJsonObject();
            // In order: what comes after them builds on it.
            switch (told.get("op").getAsString()) {
                case "connect" -> answer(told, this::connect);
                case "cancel" -> answer(told, this::cancel);
                default -> begin(told);
            }
        }
        begun.values().forEach(context -> context.cancel(null));
        threads.shutdown();
        threads.awaitTermination(5, TimeUnit.SECONDS);
        if (till != null) {
            till.close();
        }
    }

    private void begin(JsonObject told) {
        TillClient connected = till;
        CancellableContext context = Context.current().withCancellation();
        begun.put(told.get("id").getAsLong(), context);
        Operation operation = told.get("op").getAsString().equals("call") ? this::call : this::watch;
        threads.execute(context.wrap(() -> answer(told, each -> operation.run(connected, each))));
    }

    private JsonElement connect(JsonObject told) throws IOException {
        if (till != null) {
            till.close();
        }
        String address = told.get("address").getAsString();
        String key = told.has("key") ? told.get("key").getAsString() : null;
        if (told.has("ca_file")) {
            var authority = new File(told.get("ca_file").getAsString());
            till = TillClient.connect(address, key, TlsChannelCredentials.newBuilder().trustManager(authority).build());
        } else {
            till = TillClient.connect(address, key);
        }
        return new JsonObject();
    }

    private JsonElement cancel(JsonObject told) {
        begun.get(told.get("call").getAsLong()).cancel(null);
        return new JsonObject();
    }

    private JsonElement call(TillClient till, JsonObject told) throws InvalidProtocolBufferException {
        Duration timeout = timeout(told);
        var invoices = timeout == null ? till.invoices() : till.invoices().withDeadlineAfter(timeout);
        String method = told.get("method").getAsString();
        return json(switch (method) {
            case "CreateInvoice" -> invoices.createInvoice(request(told, CreateInvoiceRequest.newBuilder()).build());
            case "GetInvoice" -> invoices.getInvoice(request(told, GetInvoiceRequest.newBuilder()).build());
            case "GetInvoiceById" -> invoices.getInvoiceById(request(told, GetInvoiceByIdRequest.newBuilder()).build());
            case "LookupInvoice" -> invoices.lookupInvoice(request(told, LookupInvoiceRequest.newBuilder()).build());
            case "GetInfo" -> invoices.getInfo(request(told, GetInfoRequest.newBuilder()).build());
            default -> throw new IllegalArgumentException("no such method: " + method);
        });
    }

    private JsonElement watch(TillClient till, JsonObject told) throws InvalidProtocolBufferException {
        String invoiceId = request(told, WatchInvoiceRequest.newBuilder()).getInvoiceId();
        Duration timeout = timeout(told);
        try (Watch states = timeout == null ? till.watch(invoiceId) : till.watch(invoiceId, timeout)) {
            while (states.hasNext()) {
                say(told, "event", json(WatchInvoiceResponse.newBuilder().setInvoice(states.next())));
            }
        }
        return new JsonObject();
    }

    /** Does what was told, and says what became of it. */
    private void answer(JsonObject told, Step step) {
        try {
            say(told, "ok", step.run(told));
        } catch (StatusRuntimeException error) {
            say(told, "error", plain(error));
        } catch (IOException | RuntimeException error) {
            var plain = new JsonObject();
            plain.addProperty("status", "UNKNOWN");
            plain.addProperty("message", error.toString());
            say(told, "error", plain);
        }
    }

    private void say(JsonObject told, String what, JsonElement value) {
        var answer = new JsonObject();
        answer.add("id", told.get("id"));
        answer.add(what, value);
        out.println(answer);
    }

    private static JsonObject plain(StatusRuntimeException error) {
        TillError said = TillError.of(error);
        var plain = new JsonObject();
        plain.addProperty("status", error.getStatus().getCode().name());
        plain.addProperty("message", error.getStatus().getDescription());
        plain.addProperty("code", said.code().isEmpty() ? null : said.code());
        plain.addProperty("reason", said.reason().isEmpty() ? null : said.reason());
        plain.addProperty("retry_seconds", said.retryAfter().map(after -> after.toMillis() / 1e3).orElse(null));
        return plain;
    }

    private static Duration timeout(JsonObject told) {
        JsonElement seconds = told.get("timeout_seconds");
        return seconds == null ? null : Duration.ofMillis(Math.round(seconds.getAsDouble() * 1e3));
    }

    private static <B extends Message.Builder> B request(JsonObject told, B builder) throws InvalidProtocolBufferException {
        JsonFormat.parser().merge(told.get("request").toString(), builder);
        return builder;
    }

    private static JsonElement json(MessageOrBuilder message) throws InvalidProtocolBufferException {
        return JsonParser.parseString(JsonFormat.printer().print(message));
    }

    private interface Step {
        JsonElement run(JsonObject told) throws IOException;
    }

    private interface Operation {
        JsonElement run(TillClient till, JsonObject told) throws IOException;
    }
}
