package till.client;

import static java.util.concurrent.TimeUnit.SECONDS;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeout;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static till.client.FakeTill.get;
import static till.client.FakeTill.next;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.Context;
import io.grpc.InsecureChannelCredentials;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.TlsChannelCredentials;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import till.v1.CreateInvoiceRequest;
import till.v1.CreateInvoiceResponse;
import till.v1.GetInfoRequest;
import till.v1.InvoiceServiceGrpc;

@Timeout(20)
class TillClientTest {
    private static final CreateInvoiceRequest CREATE = CreateInvoiceRequest.getDefaultInstance();
    private static final GetInfoRequest INFO = GetInfoRequest.getDefaultInstance();

    private FakeTill fake;

    @BeforeEach
    void start() throws IOException {
        fake = new FakeTill();
    }

    @AfterEach
    void stop() {
        fake.close();
    }

    @Test
    void aFutureHasTheResponse() throws Exception {
        CompletableFuture<CreateInvoiceResponse> created = fake.client().invoices().createInvoiceAsync(CREATE);
        var responses = next(fake.creates);
        responses.onNext(CreateInvoiceResponse.newBuilder().setWatchToken("token").build());
        responses.onCompleted();
        assertEquals("token", get(created).getWatchToken());
    }

    @Test
    void aFutureFailsWithATillException() throws Exception {
        CompletableFuture<CreateInvoiceResponse> created = fake.client().invoices().createInvoiceAsync(CREATE);
        next(fake.creates).onError(Status.ABORTED.withDescription("no").asRuntimeException());
        var error = (TillException) assertThrows(ExecutionException.class, () -> get(created)).getCause();
        assertEquals(TillException.Code.NONE, error.getCode());
        assertEquals("ABORTED: no", error.getMessage());
    }

    @Test
    void aCancelledFutureCancelsItsCall() throws Exception {
        CompletableFuture<CreateInvoiceResponse> created = fake.client().invoices().createInvoiceAsync(CREATE);
        next(fake.creates);
        created.cancel(true);
        assertTrue(fake.cancelled.await(10, SECONDS));
    }

    @Test
    void aCancelledContextCancelsItsCalls() throws Exception {
        var invoices = fake.client().invoices();
        var context = Context.current().withCancellation();
        CompletableFuture<CreateInvoiceResponse> created = context.call(() -> invoices.createInvoiceAsync(CREATE));
        next(fake.creates);
        context.cancel(null);
        assertThrows(CancellationException.class, () -> get(created));
        context.run(() -> assertThrows(CancellationException.class, () -> invoices.createInvoice(CREATE)));
    }

    @Test
    void anInterruptedCallIsCancelled() {
        Thread.currentThread().interrupt();
        assertThrows(CancellationException.class, () -> fake.client().invoices().createInvoice(CREATE));
        assertTrue(Thread.interrupted());
    }

    @Test
    void aKeySourceIsAskedForEachCall() throws Exception {
        var keys = new LinkedBlockingQueue<>(List.of(" one\n", "two", ""));
        var till = TillClient.builder(fake.channel).keySource(keys::remove).build();
        till.invoices().getInfo(INFO);
        assertEquals("Bearer one", next(fake.keys));
        // A generated stub asks too.
        InvoiceServiceGrpc.newBlockingStub(till.channel()).getInfo(INFO);
        assertEquals("Bearer two", next(fake.keys));
        till.invoices().getInfo(INFO);
        assertEquals("", next(fake.keys));
    }

    @Test
    void aKeySourceThatFailsFailsCallsAndWatches() {
        var fault = new IllegalStateException("a test: the source fails");
        var till = TillClient.builder(fake.channel).keySource(() -> {
            throw fault;
        }).build();
        var error = assertThrows(TillException.class, () -> till.invoices().getInfo(INFO));
        assertEquals("UNAUTHENTICATED: the key function failed", error.getMessage());
        assertSame(fault, error.getCause());
        try (Watch states = till.watch("id", WatchOptions.defaults().withWaitForReady())) {
            assertSame(fault, assertThrows(TillException.class, states::hasNext).getCause());
        }
        assertTrue(fake.keys.isEmpty());
    }

    @Test
    void interceptorsSeeCallsButNoKey() {
        var seen = new LinkedBlockingQueue<CallOptions>();
        var interceptor = new ClientInterceptor() {
            @Override
            public <Q, R> ClientCall<Q, R> interceptCall(MethodDescriptor<Q, R> method, CallOptions options, Channel next) {
                seen.add(options);
                return next.newCall(method, options);
            }
        };
        TillClient.builder(fake.channel).key("secret").intercept(interceptor).build().invoices().getInfo(INFO);
        assertFalse(seen.remove().toString().contains("secret"));
    }

    @Test
    void callbacksRunOnTheExecutor() throws Exception {
        var executor = Executors.newSingleThreadExecutor(task -> new Thread(task, "mine"));
        var till = TillClient.builder(fake.channel).executor(executor).build();
        var name = till.invoices().getInfoAsync(INFO).thenApply(info -> Thread.currentThread().getName());
        assertTrue(List.of("mine", Thread.currentThread().getName()).contains(get(name)));
        executor.shutdown();
    }

    @Test
    void closeLeavesTheCallersChannelOpen() {
        var till = fake.client();
        till.close();
        assertFalse(fake.channel.isShutdown());
        till.invoices().getInfo(INFO);
    }

    @Test
    void closeLetsAnOpenCallEnd() throws Exception {
        var till = TillClient.builder(fake.address()).build();
        CompletableFuture<CreateInvoiceResponse> created = till.invoices().createInvoiceAsync(CREATE);
        var responses = next(fake.creates);
        CompletableFuture<Void> closed = CompletableFuture.runAsync(till::close);
        // New calls fail once it has begun.
        assertThrows(TillException.class, () -> {
            while (true) {
                till.invoices().getInfo(INFO);
            }
        });
        responses.onNext(CreateInvoiceResponse.newBuilder().setWatchToken("token").build());
        responses.onCompleted();
        assertEquals("token", get(created).getWatchToken());
        get(closed);
    }

    @Test
    void closeIsQuickAfterFailedAttemptsToConnect() throws Exception {
        var till = TillClient.builder(nowhere()).build();
        for (int attempt = 0; attempt < 3; attempt++) {
            var error = assertThrows(TillException.class, () -> till.invoices().getInfo(INFO));
            assertTrue(error.getMessage().contains("refused"), error.getMessage());
            Thread.sleep(150);
        }
        assertTimeout(Duration.ofSeconds(3), till::close);
    }

    @Test
    void aServerThatAcceptsAndSaysNothingFailsACallAfter5Seconds() throws IOException {
        try (var server = new ServerSocket(0, 10, InetAddress.getLoopbackAddress());
                var till = TillClient.builder("127.0.0.1:" + server.getLocalPort()).build()) {
            var error = assertThrows(TillException.class, () -> till.invoices().getInfo(INFO));
            assertEquals("UNAVAILABLE: no connection within 5 s", error.getMessage());
        }
    }

    /** Returns an address without a server. */
    private static String nowhere() throws IOException {
        try (var server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return "127.0.0.1:" + server.getLocalPort();
        }
    }

    @Test
    void aKeyWithoutTlsStaysOnThisMachine() {
        for (var address : List.of("shop.example:1", "127.0.0.1.example:1", "dns://8.8.8.8/localhost:1", "localhost.:1")) {
            var builder = TillClient.builder(address).key("secret");
            var error = assertThrows(IllegalStateException.class, builder::build);
            assertFalse(error.getMessage().contains("secret"));
            builder.channelCredentials(InsecureChannelCredentials.create()).allowPlaintextKey().build().close();
            TillClient.builder(address).key("secret").channelCredentials(TlsChannelCredentials.create()).build().close();
            TillClient.builder(address).key("").build().close();
        }
        for (var address : List.of("localhost:1", "127.1.2.3:1", "[::1]:1", "dns:///localhost:1")) {
            TillClient.builder(address).key("secret").build().close();
        }
    }

    @Test
    void everyDocumentedCodeIsKnown() throws IOException {
        var rows = Pattern.compile("(?m)^\\| (E\\d+) \\|").matcher(Files.readString(Path.of("../../docs/reference/errors.md")));
        var documented = rows.results().map(row -> row.group(1)).toList();
        var known = Arrays.stream(TillException.Code.values()).map(TillException.Code::id).filter(id -> id.startsWith("E"));
        assertEquals(documented, known.toList());
    }
}
