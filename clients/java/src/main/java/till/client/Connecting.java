package till.client;

import static io.grpc.ConnectivityState.READY;
import static io.grpc.ConnectivityState.TRANSIENT_FAILURE;
import static io.grpc.Status.Code.CANCELLED;
import static io.grpc.Status.Code.UNAVAILABLE;
import static java.util.concurrent.TimeUnit.MILLISECONDS;
import static java.util.concurrent.TimeUnit.SECONDS;

import io.grpc.Attributes;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ClientStreamTracer;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.ForwardingClientCallListener.SimpleForwardingClientCallListener;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * Lets a call connect anew where the channel pauses after a failed attempt, and fails it without a connection after 5 s.
 *
 * <p>The pauses of gRPC grow to two minutes and fail all calls meanwhile, though Till may be back. gRPC's time-out for an
 * attempt ends with the TCP connection: a server that accepts and then says nothing would hold calls until their deadline.
 */
final class Connecting implements ClientInterceptor {
    private static final long TIMEOUT_SECONDS = 5;
    private static final long SHORTEST_PAUSE_NANOS = MILLISECONDS.toNanos(100);

    private final ManagedChannel channel;
    private final @Nullable String proxy;
    private final AtomicLong lastReset = new AtomicLong(System.nanoTime() - SECONDS.toNanos(TIMEOUT_SECONDS));

    /**
     * @param proxy on the way of the channel, for the errors of connecting
     */
    Connecting(ManagedChannel channel, @Nullable String proxy) {
        this.channel = channel;
        this.proxy = proxy;
    }

    @Override
    public <Q, R> ClientCall<Q, R> interceptCall(MethodDescriptor<Q, R> method, CallOptions options, Channel next) {
        var state = channel.getState(false);
        if (state == TRANSIENT_FAILURE) {
            reset(SHORTEST_PAUSE_NANOS);
        }
        if (state == READY || options.isWaitForReady()) {
            return next.newCall(method, options);
        }
        var timer = new CompletableFuture<Void>();
        return new Call<>(next.newCall(method, options.withStreamTracerFactory(new Connected(timer))), timer);
    }

    /** Drops failed and unfinished attempts to connect, unless others were dropped within a time. Calls in progress continue. */
    private void reset(long pauseNanos) {
        long before = lastReset.get();
        long now = System.nanoTime();
        if (now - before >= pauseNanos && lastReset.compareAndSet(before, now)) {
            channel.enterIdle();
        }
    }

    /** Stops the timer once the call has a connection. */
    private static final class Connected extends ClientStreamTracer.Factory {
        private final CompletableFuture<Void> timer;

        Connected(CompletableFuture<Void> timer) {
            this.timer = timer;
        }

        @Override
        public ClientStreamTracer newClientStreamTracer(ClientStreamTracer.StreamInfo info, Metadata headers) {
            return new ClientStreamTracer() {
                @Override
                public void streamCreated(Attributes transport, Metadata headers) {
                    timer.cancel(false);
                }
            };
        }
    }

    private final class Call<Q, R> extends SimpleForwardingClientCall<Q, R> {
        private final CompletableFuture<Void> timer;
        private volatile boolean hasTimedOut;

        Call(ClientCall<Q, R> call, CompletableFuture<Void> timer) {
            super(call);
            this.timer = timer;
        }

        @Override
        public void start(Listener<R> listener, Metadata headers) {
            super.start(new SimpleForwardingClientCallListener<R>(listener) {
                @Override
                public void onClose(Status status, Metadata trailers) {
                    timer.cancel(false);
                    super.onClose(named(status), trailers);
                }
            }, headers);
            timer.completeOnTimeout(null, TIMEOUT_SECONDS, SECONDS).thenRun(this::timeOut);
        }

        private Status named(Status status) {
            var named = hasTimedOut && status.getCode() == CANCELLED
                    ? Status.UNAVAILABLE.withDescription("no connection within 5 s")
                    : status;
            return proxy == null || named.getCode() != UNAVAILABLE
                    ? named
                    : named.withDescription("through the proxy " + proxy + ": " + named.getDescription());
        }

        private void timeOut() {
            // Once connected, the call may still wait for its key.
            if (channel.getState(false) != READY) {
                hasTimedOut = true;
                cancel("no connection within 5 s", null);
                reset(SECONDS.toNanos(TIMEOUT_SECONDS));
            }
        }
    }
}
