package till.client;

import io.grpc.Context;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import till.v1.Invoice;

/**
 * The states of an invoice, for a thread that waits: first the current state, then each change, PAID, EXPIRED or CANCELED
 * last. No state comes twice in a row.
 *
 * <p>{@link #hasNext} waits for the next state. It throws
 *
 * <ul>
 *   <li>a {@link TillException} for an error before the first state, for an error that waiting does not cure, and for the
 *       deadline;
 *   <li>a {@link CancellationException} once the watch or its {@link TillClient} is closed, the {@link Context} that the
 *       watch was started in is cancelled, or the thread is interrupted.
 * </ul>
 *
 * <p>One thread may wait at a time. Any thread may {@link #close} the watch.
 */
public final class Watch implements Iterator<Invoice>, AutoCloseable {
    private final BlockingQueue<Runnable> reports = new LinkedBlockingQueue<>();
    private final Watching watching;
    private @Nullable Invoice next;
    private boolean hasEnded;
    private @Nullable RuntimeException failure;

    Watch(Function<Watching.Receiver, Watching> newWatching, WatchOptions options) {
        watching = newWatching.apply(new Watching.Receiver() {
            @Override
            public void state(Invoice state) {
                reports.add(() -> next = state);
            }

            @Override
            public void connection(Connection change) {
                reports.add(() -> options.onConnection.accept(change));
            }

            @Override
            public void end(@Nullable RuntimeException error) {
                reports.add(() -> {
                    hasEnded = true;
                    failure = error;
                });
            }
        });
        watching.start();
    }

    @Override
    public boolean hasNext() {
        if (next == null && !hasEnded) {
            watching.request(1);
        }
        while (next == null && !hasEnded) {
            try {
                reports.take().run();
            } catch (InterruptedException interrupted) {
                Thread.currentThread().interrupt();
                close();
                throw Calls.cancellation("the thread was interrupted", interrupted);
            } catch (RuntimeException fault) {
                // The listener's.
                close();
                throw fault;
            }
        }
        if (next == null && failure != null) {
            // The trace of the thread that waits says more than that of gRPC's.
            failure.fillInStackTrace();
            throw failure;
        }
        return next != null;
    }

    @Override
    public Invoice next() {
        Invoice state = hasNext() ? next : null;
        if (state == null) {
            throw new NoSuchElementException("the invoice is final");
        }
        next = null;
        return state;
    }

    static boolean isFinal(Invoice state) {
        return switch (state.getStatus()) {
            case INVOICE_STATUS_PAID, INVOICE_STATUS_EXPIRED, INVOICE_STATUS_CANCELED -> true;
            default -> false;
        };
    }

    /** Ends the watch, at Till too. Any thread may call it. */
    @Override
    public void close() {
        watching.fail(new CancellationException("the watch was closed"));
    }
}
