package till.client;

import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** The items of a watch, for a thread that waits. */
final class WatchIterator<T> implements Iterator<T> {
    private final BlockingQueue<Runnable> reports = new LinkedBlockingQueue<>();
    private final Watching<?, ?, T> watching;
    private @Nullable T next;
    private boolean hasEnded;
    private @Nullable RuntimeException failure;

    WatchIterator(WatchStarter<T> starter, Consumer<? super Connection> onConnection) {
        watching = starter.prepare(new Watching.Receiver<>() {
            @Override
            public void item(T item) {
                reports.add(() -> next = item);
            }

            @Override
            public void connection(Connection change) {
                reports.add(() -> onConnection.accept(change));
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
    public T next() {
        T item = hasNext() ? next : null;
        if (item == null) {
            throw new NoSuchElementException("the " + watching.name() + " has ended");
        }
        next = null;
        return item;
    }

    void close() {
        watching.fail("the " + watching.name() + " was closed");
    }
}
