package till.client;

import static java.util.concurrent.TimeUnit.MILLISECONDS;
import static java.util.concurrent.TimeUnit.NANOSECONDS;

import io.grpc.Context;
import io.grpc.Context.CancellableContext;
import io.grpc.Deadline;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.concurrent.CountDownLatch;
import java.util.function.BooleanSupplier;
import till.v1.Invoice;
import till.v1.InvoiceServiceGrpc.InvoiceServiceBlockingStub;
import till.v1.WatchInvoiceRequest;
import till.v1.WatchInvoiceResponse;

/**
 * The states of an invoice: the current one at once, then each change, PAID or EXPIRED last. None comes twice in a row.
 *
 * <p>{@link #hasNext} waits for the next state. When the connection is lost it comes back after 0.1 s, then after twice as
 * long each time, up to 2 s, for as long as Till is away. It throws {@link StatusRuntimeException} for what does not go
 * away (such as NOT_FOUND), for the deadline, and once the watch, the {@link TillClient} or the {@link Context} that it
 * was made in has ended, or the thread was interrupted.
 *
 * <p>For one thread, but for {@link #close}.
 */
public final class Watch implements Iterator<Invoice>, AutoCloseable {
    private final InvoiceServiceBlockingStub invoices;
    private final WatchInvoiceRequest request;
    private final BooleanSupplier isDisconnected;
    private final CancellableContext context = Context.current().withCancellation();
    private final CountDownLatch cancelled = new CountDownLatch(1);
    private long pauseMillis = TillClient.FIRST_PAUSE_MILLIS;
    // From the connection that there is now; null: there is none.
    private Iterator<WatchInvoiceResponse> responses;
    private Invoice last;
    // Known, but not given yet.
    private Invoice next;

    Watch(InvoiceServiceBlockingStub invoices, String invoiceId, BooleanSupplier isDisconnected) {
        this.invoices = invoices;
        this.request = WatchInvoiceRequest.newBuilder().setInvoiceId(invoiceId).build();
        this.isDisconnected = isDisconnected;
        context.addListener(ended -> cancelled.countDown(), Runnable::run);
    }

    @Override
    public boolean hasNext() {
        while (next == null && !isFinal(last)) {
            try {
                if (responses == null) {
                    context.run(() -> responses = invoices.watchInvoice(request));
                }
                if (responses.hasNext()) {
                    take(responses.next().getInvoice());
                    continue;
                }
            } catch (StatusRuntimeException error) {
                if (!isLost(error) || isDisconnected.getAsBoolean()) {
                    close();
                    throw error;
                }
            }
            responses = null;
            pause();
        }
        return next != null;
    }

    @Override
    public Invoice next() {
        if (!hasNext()) {
            throw new NoSuchElementException();
        }
        Invoice state = next;
        next = null;
        return state;
    }

    /** Ends the watch, at Till too. Any thread may call it. */
    @Override
    public void close() {
        context.cancel(null);
    }

    private void take(Invoice state) {
        pauseMillis = TillClient.FIRST_PAUSE_MILLIS;
        if (!state.equals(last)) {
            last = state;
            next = state;
        }
        if (isFinal(state)) {
            close();
        }
    }

    private void pause() {
        Deadline deadline = invoices.getCallOptions().getDeadline();
        long nanos = MILLISECONDS.toNanos(pauseMillis);
        pauseMillis = Math.min(2 * pauseMillis, TillClient.LONGEST_PAUSE_MILLIS);
        try {
            // A call after its deadline, or in a cancelled context, fails by itself.
            cancelled.await(deadline == null ? nanos : Math.min(nanos, deadline.timeRemaining(NANOSECONDS)), NANOSECONDS);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
            close();
            throw Status.CANCELLED.withDescription("interrupted").withCause(interrupted).asRuntimeException();
        }
    }

    private static boolean isFinal(Invoice state) {
        return state != null
                && switch (state.getStatus()) {
                    case INVOICE_STATUS_PAID, INVOICE_STATUS_EXPIRED -> true;
                    default -> false;
                };
    }

    // A proxy's reset shows as INTERNAL, UNKNOWN or CANCELLED; what Till itself says under these has a code.
    private boolean isLost(StatusRuntimeException error) {
        return switch (error.getStatus().getCode()) {
            case UNAVAILABLE -> true;
            case CANCELLED -> !context.isCancelled()
                    && !Thread.currentThread().isInterrupted()
                    && TillError.of(error).code().isEmpty();
            case INTERNAL, UNKNOWN -> TillError.of(error).code().isEmpty();
            default -> false;
        };
    }
}
