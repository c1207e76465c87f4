package till.client;

import java.util.Iterator;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import till.client.Batches.Batch;

/** Items that come in batches, for a thread that waits. */
final class BatchIterator<T> implements Iterator<T> {
    private final Batches<T> batches;
    private Batch<T> batch = Batch.none();

    BatchIterator(Batches<T> batches) {
        this.batches = batches;
    }

    @Override
    public boolean hasNext() {
        while (!batch.items().hasNext() && !batch.isLast()) {
            batch = fetch();
        }
        return batch.items().hasNext();
    }

    @Override
    public T next() {
        hasNext();
        return batch.items().next();
    }

    private Batch<T> fetch() {
        try {
            return batches.next().get();
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
            batches.cancel();
            throw Calls.cancellation("the thread was interrupted", interrupted);
        } catch (ExecutionException failed) {
            Throwable failure = failed.getCause();
            if (failure instanceof TillException error) {
                // The trace of the thread that waits says more than that of gRPC's.
                error.fillInStackTrace();
                throw error;
            }
            throw failure instanceof RuntimeException fault ? fault : new CompletionException(failure);
        }
    }
}
