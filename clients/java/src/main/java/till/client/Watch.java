package till.client;

import io.grpc.Context;
import java.util.Iterator;
import java.util.concurrent.CancellationException;
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
    private final WatchIterator<Invoice> states;

    Watch(WatchStarter<Invoice> starter, WatchOptions options) {
        states = new WatchIterator<>(starter, options.onConnection);
    }

    @Override
    public boolean hasNext() {
        return states.hasNext();
    }

    @Override
    public Invoice next() {
        return states.next();
    }

    /** Ends the watch, at Till too. Any thread may call it. */
    @Override
    public void close() {
        states.close();
    }
}
