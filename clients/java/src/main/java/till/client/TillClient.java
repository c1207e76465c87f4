package till.client;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ManagedChannel;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.Flow;
import org.jspecify.annotations.Nullable;
import till.v1.Event;
import till.v1.Invoice;

/**
 * A connection to a Till. Thread-safe: make one, and share it.
 *
 * <p>The first call connects, and a call after a loss connects again. A call has no deadline unless you set one, by {@code
 * withDeadlineAfter}. No call is sent twice, except the later pages of a list.
 */
public final class TillClient implements AutoCloseable {
    private static final Duration CLOSE_TIMEOUT = Duration.ofSeconds(5);
    private static final String CLOSED = "the client was closed";

    private final Channel channel;
    private final @Nullable ManagedChannel owned;
    private final OpenCalls openCalls;
    private final Executor executor;
    private final Set<Watching<?, ?, ?>> watches = ConcurrentHashMap.newKeySet();
    private volatile boolean isClosed;

    /**
     * @param channel for calls, with the key
     * @param owned the channel that {@link #close} shuts down
     * @param openCalls of that channel
     * @param executor for the attempts of watches
     */
    TillClient(Channel channel, @Nullable ManagedChannel owned, OpenCalls openCalls, Executor executor) {
        this.channel = channel;
        this.owned = owned;
        this.openCalls = openCalls;
        this.executor = executor;
    }

    /**
     * Returns a builder of a client with a connection of its own.
     *
     * @param address of Till's gRPC, or of Envoy in front of it: {@code "host:port"}
     * @return the builder
     */
    public static TillClientBuilder builder(String address) {
        return new TillClientBuilder(address);
    }

    /**
     * Returns a builder of a client that calls over your channel. {@link #close} leaves the channel open.
     *
     * <p>TLS, proxy and keepalive are the channel's; you are responsible for TLS where a key is sent. On a {@link
     * ManagedChannel}, a call connects anew after a failed attempt, and fails without a connection after 5 s.
     *
     * @param channel such as one of {@code InProcessChannelBuilder}, or a {@link ManagedChannel} of your own
     * @return the builder
     */
    public static TillClientBuilder builder(Channel channel) {
        return new TillClientBuilder(channel);
    }

    /**
     * Returns the calls that create, read, list, export, cancel and report invoices.
     *
     * @return the calls
     */
    public Invoices invoices() {
        return new Invoices(channel, CallOptions.DEFAULT);
    }

    /**
     * Returns the calls for invoice requests (BOLT 12): payouts of your own, and invoices for those of others.
     *
     * @return the calls
     */
    public Invreqs invreqs() {
        return new Invreqs(channel, CallOptions.DEFAULT);
    }

    /**
     * Returns the calls that manage API keys.
     *
     * @return the calls
     */
    public Keys keys() {
        return new Keys(channel, CallOptions.DEFAULT);
    }

    /**
     * Returns the calls that read events by page.
     *
     * @return the calls
     */
    public Events events() {
        return new Events(channel, CallOptions.DEFAULT);
    }

    /**
     * Returns the calls that manage webhooks.
     *
     * @return the calls
     */
    public Webhooks webhooks() {
        return new Webhooks(channel, CallOptions.DEFAULT);
    }

    /**
     * Returns the channel for generated stubs, such as {@code InvoiceServiceGrpc.newFutureStub(till.channel())}.
     *
     * @return a channel that sends the key with each call
     */
    public Channel channel() {
        return channel;
    }

    /**
     * Watches an invoice until it is paid, expired or canceled.
     *
     * @param invoiceId its public id
     * @return its states; close the watch if you leave before the last one
     */
    public Watch watch(String invoiceId) {
        return watch(invoiceId, WatchOptions.defaults());
    }

    /**
     * As {@link #watch(String)}, with options.
     *
     * @param invoiceId its public id
     * @param options of the watch
     * @return its states; close the watch if you leave before the last one
     */
    public Watch watch(String invoiceId, WatchOptions options) {
        return new Watch(starter(invoiceId, options), options);
    }

    /**
     * Watches an invoice for each subscriber, from its subscription until the invoice is paid, expired or canceled.
     *
     * <p>The states and errors are those of {@link Watch}. Changes of the connection are reported only
     * while a state is requested.
     *
     * @param invoiceId its public id
     * @return a publisher of its states
     */
    public Flow.Publisher<Invoice> watchPublisher(String invoiceId) {
        return watchPublisher(invoiceId, WatchOptions.defaults());
    }

    /**
     * As {@link #watchPublisher(String)}, with options.
     *
     * @param invoiceId its public id
     * @param options of each watch
     * @return a publisher of its states
     */
    public Flow.Publisher<Invoice> watchPublisher(String invoiceId, WatchOptions options) {
        return new WatchPublisher<>(starter(invoiceId, options), options.onConnection);
    }

    /**
     * Watches an invoice until it is paid, expired or canceled, and returns that state only.
     *
     * <p>The errors are those of {@link Watch}. Cancelling the future ends the watch.
     *
     * @param invoiceId its public id
     * @return the final state, later
     */
    public CompletableFuture<Invoice> finalState(String invoiceId) {
        return finalState(invoiceId, WatchOptions.defaults());
    }

    /**
     * As {@link #finalState(String)}, with options.
     *
     * @param invoiceId its public id
     * @param options of the watch
     * @return the final state, later
     */
    public CompletableFuture<Invoice> finalState(String invoiceId, WatchOptions options) {
        var future = new CompletableFuture<Invoice>();
        watchPublisher(invoiceId, options).subscribe(new Last<>(future));
        return future;
    }

    /**
     * Streams the events of the user's log, for a key with the scope events:read.
     *
     * @param options where the stream begins, and which events it has
     * @return the events; close the stream when you leave it
     */
    public EventStream watchEvents(EventOptions options) {
        return new EventStream(starter(options, Silence.LONGEST), options);
    }

    /**
     * Streams the events of the user's log for each subscriber, from its subscription on.
     *
     * <p>The events and errors are those of {@link EventStream}. Changes of the connection are reported only while an event is
     * requested.
     *
     * @param options where each stream begins, and which events it has
     * @return a publisher of the events
     */
    public Flow.Publisher<Event> watchEventsPublisher(EventOptions options) {
        return watchEventsPublisher(options, Silence.LONGEST);
    }

    /** For tests, which do not wait as long. */
    Flow.Publisher<Event> watchEventsPublisher(EventOptions options, Duration longestSilence) {
        return new WatchPublisher<>(starter(options, longestSilence), options.watch.onConnection);
    }

    /**
     * Ends all watches and event streams, lets open calls end for up to 5 s, then cancels them.
     *
     * <p>A channel of your own stays open, with its calls.
     */
    @Override
    public void close() {
        isClosed = true;
        watches.forEach(watching -> watching.fail(CLOSED));
        if (owned == null) {
            return;
        }
        owned.shutdown();
        try {
            openCalls.awaitNone(CLOSE_TIMEOUT);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
        owned.shutdownNow();
    }

    private <Q, R, T> Watching<Q, R, T> watching(
            Subject<Q, R, T> subject,
            WatchOptions options,
            @Nullable Duration longestSilence,
            Watching.Receiver<? super T> receiver) {
        var watching = new Watching<>(channel, executor, subject, options, longestSilence, receiver, watches::remove);
        watches.add(watching);
        if (isClosed) {
            watching.fail(CLOSED);
        }
        return watching;
    }

    private WatchStarter<Invoice> starter(String invoiceId, WatchOptions options) {
        return receiver -> watching(new InvoiceSubject(invoiceId), options, null, receiver);
    }

    private WatchStarter<Event> starter(EventOptions options, Duration longestSilence) {
        return receiver -> watching(new EventSubject(options.request), options.watch, longestSilence, receiver);
    }
}
