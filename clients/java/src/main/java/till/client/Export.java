package till.client;

import java.util.Iterator;
import till.v1.ExportInvoicesResponse;

/**
 * Parts of a CSV file, for a thread that waits: whole lines, the header first.
 *
 * <p>The file is complete once {@link #hasNext} has returned false. It throws
 *
 * <ul>
 *   <li>a {@link TillException} if the export fails or is cut off, after any number of parts;
 *   <li>a {@link java.util.concurrent.CancellationException} once the export is closed, the {@link io.grpc.Context} that it
 *       was started in is cancelled, or the thread is interrupted.
 * </ul>
 *
 * <p>One thread may wait at a time. Any thread may {@link #close} the export.
 */
public final class Export implements Iterator<ExportInvoicesResponse>, AutoCloseable {
    private final ExportCall call;
    private final Iterator<ExportInvoicesResponse> parts;

    Export(ExportCall call) {
        this.call = call;
        parts = new BatchIterator<>(call);
    }

    @Override
    public boolean hasNext() {
        return parts.hasNext();
    }

    @Override
    public ExportInvoicesResponse next() {
        return parts.next();
    }

    /** Ends the export, at Till too. */
    @Override
    public void close() {
        call.cancel();
    }
}
