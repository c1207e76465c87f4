package till.client;

import static java.util.concurrent.TimeUnit.NANOSECONDS;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.ForwardingClientCallListener.SimpleForwardingClientCallListener;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.time.Duration;

/**
 * Counts open calls. A channel's own {@code awaitTermination} also waits for up to 5 s for connections that {@link Connecting}
 * has dropped.
 */
final class OpenCalls implements ClientInterceptor {
    private int open;

    @Override
    public <Q, R> ClientCall<Q, R> interceptCall(MethodDescriptor<Q, R> method, CallOptions options, Channel next) {
        return new SimpleForwardingClientCall<Q, R>(next.newCall(method, options)) {
            @Override
            public void start(Listener<R> listener, Metadata headers) {
                super.start(new SimpleForwardingClientCallListener<R>(listener) {
                    @Override
                    public void onClose(Status status, Metadata trailers) {
                        add(-1);
                        super.onClose(status, trailers);
                    }
                }, headers);
                add(1);
            }
        };
    }

    private synchronized void add(int calls) {
        open += calls;
        notifyAll();
    }

    synchronized void awaitNone(Duration timeout) throws InterruptedException {
        long end = System.nanoTime() + timeout.toNanos();
        for (long left = timeout.toNanos(); open > 0 && left > 0; left = end - System.nanoTime()) {
            NANOSECONDS.timedWait(this, left);
        }
    }
}
