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
import io.grpc.Status;
import io.grpc.TlsChannelCredentials;
import java.io.BufferedReader;
import java.io.File;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import till.client.Connection;
import till.client.TillClient;
import till.client.TillException;
import till.client.Watch;
import till.client.WatchOptions;
import till.v1.CreateInvoiceRequest;
import till.v1.GetInfoRequest;
import till.v1.GetInvoiceByIdRequest;
import till.v1.GetInvoiceRequest;
import till.v1.Invoice;
import till.v1.LookupInvoiceRequest;
import till.v1.WatchInvoiceRequest;
import till.v1.WatchInvoiceResponse;

/**
 * The agent of the Java client, as clients/conformance/README.md describes it.
 *
 * <p>Requests with an even id use the client's blocking methods, those with an odd one its futures and publishers.
 */
final class Agent {
    private final PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
    private final ExecutorService threads = Executors.newCachedThreadPool();
    private final Map<Long, CancellableContext> open = new ConcurrentHashMap<>();
    private TillClient till = TillClient.builder("127.0.0.1:1").build();

    public static void main(String[] arguments) throws IOException, InterruptedException {
        new Agent().run();
    }

    /** Runs until the end of standard input. */
    private void run() throws IOException, InterruptedException {
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            JsonObject request = JsonParser.parseString(line).getAsJsonObject();
            // In order, since later requests depend on these.
            switch (request.get("op").getAsString()) {
                case "connect" -> answer(request, this::connect);
                case "cancel" -> answer(request, this::cancel);
                default -> begin(request);
            }
        }
        open.values().forEach(context -> context.cancel(null));
        threads.shutdown();
        threads.awaitTermination(5, TimeUnit.SECONDS);
        till.close();
    }

    private void begin(JsonObject request) {
        TillClient connected = till;
        CancellableContext context = Context.current().withCancellation();
        open.put(id(request), context);
        Operation operation = request.get("op").getAsString().equals("call") ? this::call : this::watch;
        threads.execute(context.wrap(() -> answer(request, each -> operation.run(connected, each))));
    }

    private JsonElement connect(JsonObject request) throws IOException {
        // Waits for its calls.
        threads.execute(till::close);
        var builder = TillClient.builder(request.get("address").getAsString());
        if (request.has("key")) {
            builder.key(request.get("key").getAsString());
        }
        if (request.has("key_file")) {
            var file = Path.of(request.get("key_file").getAsString());
            builder.keySource(() -> content(file));
        }
        if (isTrue(request, "allow_plaintext_key")) {
            builder.allowPlaintextKey();
        }
        if (request.has("ca_file")) {
            var authority = new File(request.get("ca_file").getAsString());
            builder.channelCredentials(TlsChannelCredentials.newBuilder().trustManager(authority).build());
        }
        till = builder.build();
        return new JsonObject();
    }

    private JsonElement cancel(JsonObject request) {
        open.get(request.get("call").getAsLong()).cancel(null);
        return new JsonObject();
    }

    private JsonElement call(TillClient till, JsonObject request) throws IOException {
        var calls = timeout(request).map(till.invoices()::withDeadlineAfter).orElse(till.invoices());
        String method = request.get("method").getAsString();
        return json(switch (method) {
            case "CreateInvoice" -> call(
                    request, CreateInvoiceRequest.getDefaultInstance(), calls::createInvoice, calls::createInvoiceAsync);
            case "GetInvoice" ->
                call(request, GetInvoiceRequest.getDefaultInstance(), calls::getInvoice, calls::getInvoiceAsync);
            case "GetInvoiceById" -> call(
                    request, GetInvoiceByIdRequest.getDefaultInstance(), calls::getInvoiceById, calls::getInvoiceByIdAsync);
            case "LookupInvoice" -> call(
                    request, LookupInvoiceRequest.getDefaultInstance(), calls::lookupInvoice, calls::lookupInvoiceAsync);
            case "GetInfo" -> call(request, GetInfoRequest.getDefaultInstance(), calls::getInfo, calls::getInfoAsync);
            default -> throw new IllegalArgumentException("no such method: " + method);
        });
    }

    private static <Q extends Message, R> R call(
            JsonObject request, Q empty, Function<Q, R> blocking, Function<Q, CompletableFuture<R>> async)
            throws IOException {
        Q message = message(request, empty);
        return isBlocking(request) ? blocking.apply(message) : async.apply(message).join();
    }

    private JsonElement watch(TillClient till, JsonObject request) throws IOException {
        String invoiceId = message(request, WatchInvoiceRequest.getDefaultInstance()).getInvoiceId();
        var options = timeout(request).map(WatchOptions.defaults()::withTimeout).orElse(WatchOptions.defaults());
        if (isTrue(request, "wait_for_ready")) {
            options = options.withWaitForReady();
        }
        if (isTrue(request, "connection")) {
            options = options.onConnection(change -> say(request, "connection", plain(change)));
        }
        if (isBlocking(request)) {
            try (Watch states = till.watch(invoiceId, options)) {
                states.forEachRemaining(state -> say(request, "event", event(state)));
            }
        } else {
            var end = new CompletableFuture<Void>();
            till.watchPublisher(invoiceId, options).subscribe(new OneByOne(state -> say(request, "event", event(state)), end));
            end.join();
        }
        return new JsonObject();
    }

    /** Handles a request, and answers it. */
    private void answer(JsonObject request, Step step) {
        try {
            say(request, "ok", step.run(request));
        } catch (IOException | RuntimeException error) {
            say(request, "error", plain(error instanceof CompletionException ? error.getCause() : error));
        }
    }

    private void say(JsonObject request, String what, JsonElement value) {
        var answer = new JsonObject();
        answer.add("id", request.get("id"));
        answer.add(what, value);
        out.println(answer);
    }

    private static JsonObject plain(Connection change) {
        var plain = new JsonObject();
        plain.addProperty("lost", change.lost());
        plain.addProperty("attempt", change.attempt());
        plain.add("error", change.error() == null ? null : plain(change.error()));
        return plain;
    }

    private static JsonObject plain(Throwable error) {
        var plain = new JsonObject();
        var status = error instanceof CancellationException ? Status.Code.CANCELLED : Status.Code.UNKNOWN;
        plain.addProperty("status", status.name());
        plain.addProperty("message", error.toString());
        if (error instanceof TillException failure) {
            plain.addProperty("status", failure.getStatus().getCode().name());
            plain.addProperty("message", failure.getStatus().getDescription());
            plain.addProperty("code", failure.getCode().id().isEmpty() ? null : failure.getCode().id());
            plain.addProperty("reason", failure.getReason().isEmpty() ? null : failure.getReason());
            plain.addProperty("retry_seconds", failure.getRetryAfter().map(after -> after.toMillis() / 1e3).orElse(null));
        }
        return plain;
    }

    private static long id(JsonObject request) {
        return request.get("id").getAsLong();
    }

    private static boolean isBlocking(JsonObject request) {
        return id(request) % 2 == 0;
    }

    private static boolean isTrue(JsonObject request, String field) {
        return request.has(field) && request.get(field).getAsBoolean();
    }

    private static String content(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private static Optional<Duration> timeout(JsonObject request) {
        return Optional.ofNullable(request.get("timeout_seconds"))
                .map(seconds -> Duration.ofMillis(Math.round(seconds.getAsDouble() * 1e3)));
    }

    @SuppressWarnings("unchecked")
    private static <M extends Message> M message(JsonObject request, M empty) throws InvalidProtocolBufferException {
        var builder = empty.newBuilderForType();
        JsonFormat.parser().merge(request.get("request").toString(), builder);
        return (M) builder.build();
    }

    private static JsonElement event(Invoice state) {
        try {
            return json(WatchInvoiceResponse.newBuilder().setInvoice(state));
        } catch (InvalidProtocolBufferException error) {
            throw new UncheckedIOException(error);
        }
    }

    private static JsonElement json(MessageOrBuilder message) throws InvalidProtocolBufferException {
        return JsonParser.parseString(JsonFormat.printer().print(message));
    }

    private interface Step {
        JsonElement run(JsonObject request) throws IOException;
    }

    private interface Operation {
        JsonElement run(TillClient till, JsonObject request) throws IOException;
    }
}
