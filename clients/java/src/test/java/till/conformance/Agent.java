package till.conformance;

import static till.conformance.Json.event;
import static till.conformance.Json.id;
import static till.conformance.Json.isBlocking;
import static till.conformance.Json.isTrue;
import static till.conformance.Json.json;
import static till.conformance.Json.limit;
import static till.conformance.Json.message;
import static till.conformance.Json.options;
import static till.conformance.Json.plain;
import static till.conformance.Json.timeout;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.Message;
import io.grpc.Context;
import io.grpc.Context.CancellableContext;
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
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Function;
import till.client.EventStream;
import till.client.Export;
import till.client.PagedList;
import till.client.TillClient;
import till.client.Watch;
import till.client.WatchOptions;
import till.v1.CancelInvoiceRequest;
import till.v1.CreateInvoiceRequest;
import till.v1.Event;
import till.v1.ExportInvoicesRequest;
import till.v1.ExportInvoicesResponse;
import till.v1.GetInfoRequest;
import till.v1.GetInvoiceByIdRequest;
import till.v1.GetInvoiceRequest;
import till.v1.GetReportRequest;
import till.v1.Invoice;
import till.v1.ListDeliveriesRequest;
import till.v1.ListEventsRequest;
import till.v1.ListInvoicesRequest;
import till.v1.LookupInvoiceRequest;
import till.v1.WatchEventsRequest;
import till.v1.WatchInvoiceRequest;

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
        Operation operation = switch (request.get("op").getAsString()) {
            case "list" -> this::list;
            case "export" -> this::export;
            case "watch" -> this::watch;
            case "events" -> this::events;
            default -> this::call;
        };
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
            case "ListInvoices" -> call(
                    request, ListInvoicesRequest.getDefaultInstance(), calls::listInvoices, calls::listInvoicesAsync);
            case "CancelInvoice" -> call(
                    request, CancelInvoiceRequest.getDefaultInstance(), calls::cancelInvoice, calls::cancelInvoiceAsync);
            case "GetReport" -> call(request, GetReportRequest.getDefaultInstance(), calls::getReport, calls::getReportAsync);
            case "GetInfo" -> call(request, GetInfoRequest.getDefaultInstance(), calls::getInfo, calls::getInfoAsync);
            case "ListEvents" -> {
                var events = timeout(request).map(till.events()::withDeadlineAfter).orElse(till.events());
                yield call(
                        request, ListEventsRequest.getDefaultInstance(), events::listEvents, events::listEventsAsync);
            }
            default -> {
                var webhooks = timeout(request).map(till.webhooks()::withDeadlineAfter).orElse(till.webhooks());
                yield WebhookCalls.call(webhooks, method, request);
            }
        });
    }

    static <Q extends Message, R> R call(
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
        Consumer<Invoice> onState = state -> say(request, "event", event(state));
        if (isBlocking(request)) {
            try (Watch states = till.watch(invoiceId, options)) {
                states.forEachRemaining(onState);
            }
        } else {
            take(till.watchPublisher(invoiceId, options), Long.MAX_VALUE, onState);
        }
        return new JsonObject();
    }

    private JsonElement events(TillClient till, JsonObject request) throws IOException {
        var options = options(message(request, WatchEventsRequest.getDefaultInstance()));
        options = timeout(request).map(options::withTimeout).orElse(options);
        options = isTrue(request, "wait_for_ready") ? options.withWaitForReady() : options;
        if (isTrue(request, "connection")) {
            options = options.onConnection(change -> say(request, "connection", plain(change)));
        }
        Consumer<Event> onEvent = event -> say(request, "event", json(event));
        if (isBlocking(request)) {
            try (EventStream events = till.watchEvents(options)) {
                for (long taken = 0; taken < limit(request); taken++) {
                    onEvent.accept(events.next());
                }
            }
        } else {
            take(till.watchEventsPublisher(options), limit(request), onEvent);
        }
        return new JsonObject();
    }

    private JsonElement list(TillClient till, JsonObject request) throws IOException {
        if (request.has("method") && request.get("method").getAsString().equals("ListDeliveries")) {
            var deliveries = message(request, ListDeliveriesRequest.getDefaultInstance());
            return list(request, "delivery", till.webhooks().deliveries(deliveries));
        }
        var invoices = message(request, ListInvoicesRequest.getDefaultInstance());
        return list(request, "invoice", till.invoices().list(invoices));
    }

    private <T extends Message> JsonElement list(JsonObject request, String name, PagedList<T> all) {
        var list = timeout(request).map(all::withPageTimeout).orElse(all);
        Consumer<T> onItem = item -> {
            var event = new JsonObject();
            event.add(name, json(item));
            say(request, "event", event);
        };
        if (isBlocking(request)) {
            list.stream().limit(limit(request)).forEach(onItem);
        } else {
            take(list.publisher(), limit(request), onItem);
        }
        return new JsonObject();
    }

    private JsonElement export(TillClient till, JsonObject request) throws IOException {
        var invoices = timeout(request).map(till.invoices()::withDeadlineAfter).orElse(till.invoices());
        var message = message(request, ExportInvoicesRequest.getDefaultInstance());
        Consumer<ExportInvoicesResponse> onPart = part -> say(request, "event", json(part));
        if (isBlocking(request)) {
            try (Export parts = invoices.export(message)) {
                parts.forEachRemaining(onPart);
            }
        } else {
            take(invoices.exportPublisher(message), Long.MAX_VALUE, onPart);
        }
        return new JsonObject();
    }

    private static <T> void take(Flow.Publisher<T> items, long limit, Consumer<T> onItem) {
        var end = new CompletableFuture<Void>();
        items.subscribe(new OneByOne<>(onItem, limit, end));
        end.join();
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

    private static String content(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private interface Step {
        JsonElement run(JsonObject request) throws IOException;
    }

    private interface Operation {
        JsonElement run(TillClient till, JsonObject request) throws IOException;
    }
}
