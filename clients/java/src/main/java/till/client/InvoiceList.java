package till.client;

import java.time.Duration;
import java.util.Iterator;
import java.util.concurrent.Flow;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.jspecify.annotations.Nullable;
import till.v1.Invoice;
import till.v1.ListInvoicesRequest;

/**
 * All invoices that match a request, over all its pages. Immutable.
 *
 * <p>Each iteration, stream and subscriber has a list of its own, which fetches a page when an invoice of it is needed. A
 * page after the first is fetched again if its connection is lost, with the pauses of a watch, until its deadline, or for
 * 30 s if it has none. Other errors are those of {@link Invoices#listInvoices}: {@code hasNext} and {@code next} throw
 * them; called again, they fetch the page again.
 */
public final class InvoiceList implements Iterable<Invoice> {
    private final Invoices invoices;
    private final ListInvoicesRequest request;
    private final @Nullable Duration pageTimeout;

    InvoiceList(Invoices invoices, ListInvoicesRequest request, @Nullable Duration pageTimeout) {
        this.invoices = invoices;
        this.request = request;
        this.pageTimeout = pageTimeout;
    }

    /**
     * Limits the time of each page, with all attempts at it. The deadline of {@link Invoices} covers the whole list, and the
     * time that the caller takes.
     *
     * @param timeout after which a page fails with DEADLINE_EXCEEDED
     * @return a changed copy
     */
    public InvoiceList withPageTimeout(Duration timeout) {
        return new InvoiceList(invoices, request, timeout);
    }

    @Override
    public Iterator<Invoice> iterator() {
        return new BatchIterator<>(pages());
    }

    /**
     * Returns the invoices for functional code.
     *
     * @return a sequential stream
     */
    public Stream<Invoice> stream() {
        return StreamSupport.stream(spliterator(), false);
    }

    /**
     * Returns the invoices for reactive code.
     *
     * @return a publisher
     */
    public Flow.Publisher<Invoice> publisher() {
        return new BatchPublisher<>(this::pages);
    }

    private Pages pages() {
        return new Pages(invoices, request, pageTimeout);
    }
}
