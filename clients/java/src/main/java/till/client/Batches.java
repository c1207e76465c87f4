package till.client;

import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** Items that Till sends in batches: the pages of a list, the parts of an export. */
interface Batches<T> {
    /** Starts to fetch the next batch. One at a time. */
    CompletableFuture<Batch<T>> next();

    /** Ends what is in progress. Any thread may call it. */
    void cancel();

    record Batch<T>(Iterator<T> items, boolean isLast) {
        static <T> Batch<T> of(List<T> items, boolean isLast) {
            return new Batch<>(items.iterator(), isLast);
        }

        static <T> Batch<T> none() {
            return new Batch<>(Collections.emptyIterator(), false);
        }
    }
}
