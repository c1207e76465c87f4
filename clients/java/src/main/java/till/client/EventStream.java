package till.client;

import io.grpc.Context;
import java.util.Iterator;
import java.util.concurrent.CancellationException;
import till.v1.Event;

/**
 * Events, for a thread that waits: each once and in order, first those in the log, then new ones. They have no end.
 *
 * <p>{@link #hasNext} waits for the next event. It throws
 *
 * <ul>
 *   <li>a {@link TillException} for an error before Till's first response, for an error that waiting does not cure, and for
 *       the deadline; EVENTS_GONE (E16) if Till has removed events that the stream has not returned;
 *   <li>a {@link CancellationException} once the stream or its {@link TillClient} is closed, the {@link Context} that it was
 *       started in is cancelled, or the thread is interrupted.
 * </ul>
 *
 * <p>One thread may wait at a time. Any thread may {@link #close} the stream.
 */
public final class EventStream implements Iterator<Event>, AutoCloseable {
    private final WatchIterator<Event> events;

    EventStream(WatchStarter<Event> starter, EventOptions options) {
        events = new WatchIterator<>(starter, options.watch.onConnection);
    }

    @Override
    public boolean hasNext() {
        return events.hasNext();
    }

    @Override
    public Event next() {
        return events.next();
    }

    /** Ends the stream, at Till too. Any thread may call it. */
    @Override
    public void close() {
        events.close();
    }
}
