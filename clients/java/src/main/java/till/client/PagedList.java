package till.client;

import io.grpc.Deadline;
import java.time.Duration;
import java.util.Iterator;
import java.util.concurrent.Flow;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.jspecify.annotations.Nullable;

/**
 * All items that match a request, over all its pages. Immutable.
 *
 * <p>Each iteration, stream and subscriber has a list of its own, which fetches a page when an item of it is needed. A page
 * after the first is fetched again if its connection is lost, with the pauses of a watch, until its deadline, or for 30 s if
 * it has none. Other errors are those of the call that fetches a page: {@code hasNext} and {@code next} throw them; called
 * again, they fetch the page again.
 *
 * @param <T> the type of the items
 */
public final class PagedList<T> implements Iterable<T> {
    private final Pages.Source<T> source;
    private final String firstToken;
    private final @Nullable Deadline deadline;
    private final @Nullable Duration pageTimeout;

    PagedList(Pages.Source<T> source, String firstToken, @Nullable Deadline deadline, @Nullable Duration pageTimeout) {
        this.source = source;
        this.firstToken = firstToken;
        this.deadline = deadline;
        this.pageTimeout = pageTimeout;
    }

    /**
     * Limits the time of each page, with all attempts at it. The deadline of the calls, such as {@link Invoices}, covers the
     * whole list, and the time that the caller takes.
     *
     * @param timeout after which a page fails with DEADLINE_EXCEEDED
     * @return a changed copy
     */
    public PagedList<T> withPageTimeout(Duration timeout) {
        return new PagedList<>(source, firstToken, deadline, timeout);
    }

    @Override
    public Iterator<T> iterator() {
        return new BatchIterator<>(pages());
    }

    /**
     * Returns the items for functional code.
     *
     * @return a sequential stream
     */
    public Stream<T> stream() {
        return StreamSupport.stream(spliterator(), false);
    }

    /**
     * Returns the items for reactive code.
     *
     * @return a publisher
     */
    public Flow.Publisher<T> publisher() {
        return new BatchPublisher<>(this::pages);
    }

    private Pages<T> pages() {
        return new Pages<>(source, firstToken, deadline, pageTimeout);
    }
}
