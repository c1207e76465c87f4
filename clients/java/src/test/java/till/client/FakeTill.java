package till.client;

import static java.util.concurrent.TimeUnit.SECONDS;

import io.grpc.Context;
import io.grpc.Grpc;
import io.grpc.InsecureServerCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerBuilder;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.inprocess.InProcessChannelBuilder;
import io.grpc.inprocess.InProcessServerBuilder;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.BiConsumer;
import till.v1.CreateInvoiceRequest;
import till.v1.CreateInvoiceResponse;
import till.v1.EventServiceGrpc;
import till.v1.ExportInvoicesRequest;
import till.v1.ExportInvoicesResponse;
import till.v1.GetInfoRequest;
import till.v1.GetInfoResponse;
import till.v1.Invoice;
import till.v1.InvoiceServiceGrpc;
import till.v1.InvoiceStatus;
import till.v1.ListInvoicesRequest;
import till.v1.ListInvoicesResponse;
import till.v1.WatchEventsRequest;
import till.v1.WatchEventsResponse;
import till.v1.WatchInvoiceRequest;
import till.v1.WatchInvoiceResponse;

/** A Till in this process, whose answers the test gives. */
final class FakeTill extends InvoiceServiceGrpc.InvoiceServiceImplBase implements AutoCloseable {
    private static final Metadata.Key<String> AUTHORIZATION =
            Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

    /** The open attempts of watches, in the order of their arrival. */
    final BlockingQueue<StreamObserver<WatchInvoiceResponse>> watches = new LinkedBlockingQueue<>();
    /** The open creates; GetInfo is answered by itself. */
    final BlockingQueue<StreamObserver<CreateInvoiceResponse>> creates = new LinkedBlockingQueue<>();
    /** Answers the pages of lists. */
    volatile BiConsumer<ListInvoicesRequest, StreamObserver<ListInvoicesResponse>> onPage = (request, responses) -> {};
    /** The open exports, in the order of their arrival. */
    final BlockingQueue<StreamObserver<ExportInvoicesResponse>> exports = new LinkedBlockingQueue<>();
    /** The open attempts of event streams, in the order of their arrival. */
    final BlockingQueue<StreamObserver<WatchEventsResponse>> eventStreams = new LinkedBlockingQueue<>();
    /** Their requests. */
    final BlockingQueue<WatchEventsRequest> eventRequests = new LinkedBlockingQueue<>();
    /** Answers the calls for webhooks. */
    final FakeWebhooks webhooks = new FakeWebhooks();
    /** The authorization header of each call; empty without one. */
    final BlockingQueue<String> keys = new LinkedBlockingQueue<>();
    /** Done once a call is cancelled. */
    final CountDownLatch cancelled = new CountDownLatch(1);
    final ManagedChannel channel;
    private final Server inProcess;
    private final Server server;

    FakeTill() throws IOException {
        String name = InProcessServerBuilder.generateName();
        inProcess = serve(InProcessServerBuilder.forName(name));
        server = serve(Grpc.newServerBuilderForPort(0, InsecureServerCredentials.create()));
        channel = InProcessChannelBuilder.forName(name).build();
    }

    private Server serve(ServerBuilder<?> builder) throws IOException {
        return builder.addService(this).addService(new EventLog()).addService(webhooks).intercept(new ServerInterceptor() {
            @Override
            public <Q, R> ServerCall.Listener<Q> interceptCall(
                    ServerCall<Q, R> call, Metadata headers, ServerCallHandler<Q, R> next) {
                String key = headers.get(AUTHORIZATION);
                keys.add(key == null ? "" : key);
                return next.startCall(call, headers);
            }
        }).build().start();
    }

    String address() {
        return "127.0.0.1:" + server.getPort();
    }

    TillClient client() {
        return TillClient.builder(channel).build();
    }

    @Override
    public void watchInvoice(WatchInvoiceRequest request, StreamObserver<WatchInvoiceResponse> responses) {
        Context.current().addListener(ended -> cancelled.countDown(), Runnable::run);
        watches.add(responses);
    }

    @Override
    public void createInvoice(CreateInvoiceRequest request, StreamObserver<CreateInvoiceResponse> responses) {
        Context.current().addListener(ended -> cancelled.countDown(), Runnable::run);
        creates.add(responses);
    }

    @Override
    public void listInvoices(ListInvoicesRequest request, StreamObserver<ListInvoicesResponse> responses) {
        Context.current().addListener(ended -> cancelled.countDown(), Runnable::run);
        onPage.accept(request, responses);
    }

    @Override
    public void exportInvoices(ExportInvoicesRequest request, StreamObserver<ExportInvoicesResponse> responses) {
        Context.current().addListener(ended -> cancelled.countDown(), Runnable::run);
        exports.add(responses);
    }

    @Override
    public void getInfo(GetInfoRequest request, StreamObserver<GetInfoResponse> responses) {
        responses.onNext(GetInfoResponse.getDefaultInstance());
        responses.onCompleted();
    }

    private final class EventLog extends EventServiceGrpc.EventServiceImplBase {
        @Override
        public void watchEvents(WatchEventsRequest request, StreamObserver<WatchEventsResponse> responses) {
            Context.current().addListener(ended -> cancelled.countDown(), Runnable::run);
            eventRequests.add(request);
            eventStreams.add(responses);
        }
    }

    static WatchInvoiceResponse state(InvoiceStatus status) {
        return WatchInvoiceResponse.newBuilder().setInvoice(Invoice.newBuilder().setStatus(status)).build();
    }

    static <T> T next(BlockingQueue<T> queue) throws InterruptedException {
        T taken = queue.poll(10, SECONDS);
        if (taken == null) {
            throw new AssertionError("nothing has arrived");
        }
        return taken;
    }

    static <T> T get(CompletableFuture<T> future) throws Exception {
        return future.get(10, SECONDS);
    }

    @Override
    public void close() {
        channel.shutdownNow();
        inProcess.shutdownNow();
        server.shutdownNow();
    }
}
