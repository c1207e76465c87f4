package till.client;

import static java.util.concurrent.TimeUnit.NANOSECONDS;
import static java.util.concurrent.TimeUnit.SECONDS;

import io.grpc.Context;
import io.grpc.Deadline;
import io.grpc.Status;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;
import till.client.TillException.Code;
import till.v1.Invoice;
import till.v1.ListInvoicesRequest;
import till.v1.ListInvoicesResponse;

/** The pages of a list. */
final class Pages implements Batches<Invoice> {
    private static final int RETRIES_SECONDS = 30;

    private final Invoices invoices;
    private final @Nullable Duration timeout;
    private final Context context = Context.current();
    private volatile ListInvoicesRequest request;
    private volatile boolean isFirst = true;
    private volatile CompletableFuture<Batch<Invoice>> page = new CompletableFuture<>();

    Pages(Invoices invoices, ListInvoicesRequest request, @Nullable Duration timeout) {
        this.invoices = invoices;
        this.request = request;
        this.timeout = timeout;
    }

    @Override
    public CompletableFuture<Batch<Invoice>> next() {
        page = new CompletableFuture<>();
        new Attempts(page).attempt();
        return page;
    }

    @Override
    public void cancel() {
        page.cancel(false);
    }

    private void received(ListInvoicesResponse response) {
        isFirst = false;
        request = request.toBuilder().setPageToken(response.getNextPageToken()).build();
        page.complete(Batch.of(response.getInvoicesList(), request.getPageToken().isEmpty()));
    }

    /** The attempts at one page. */
    private final class Attempts {
        private final CompletableFuture<Batch<Invoice>> page;
        private final Losses losses = new Losses("page", !isFirst);
        private final @Nullable Deadline deadline = Calls.earlier(
                timeout, Calls.earlier(invoices.getCallOptions().getDeadline(), context.getDeadline()));
        private final Deadline end = deadline == null ? Deadline.after(RETRIES_SECONDS, SECONDS) : deadline;

        Attempts(CompletableFuture<Batch<Invoice>> page) {
            this.page = page;
        }

        void attempt() {
            var call = invoices.withDeadline(deadline).listInvoicesAsync(request);
            page.whenComplete((batch, error) -> call.cancel(false));
            call.whenComplete((response, error) -> {
                if (error == null) {
                    received(response);
                } else {
                    failed(error);
                }
            });
        }

        private void failed(Throwable error) {
            if (!(error instanceof TillException loss)) {
                page.completeExceptionally(error);
            } else if (losses.include(loss)) {
                pauseAfter(loss);
            } else {
                boolean isLate = loss.getStatus().getCode() == Status.Code.DEADLINE_EXCEEDED && loss.getCode() == Code.NONE;
                page.completeExceptionally(isLate ? losses.deadlineExceeded() : loss);
            }
        }

        private void pauseAfter(TillException loss) {
            losses.add(loss);
            long pause = losses.pauseNanos();
            long left = end.timeRemaining(NANOSECONDS);
            if (deadline == null && left < pause) {
                page.completeExceptionally(loss);
                return;
            }
            // An attempt after the deadline fails by itself.
            CompletableFuture.delayedExecutor(Math.min(pause, left), NANOSECONDS).execute(context.wrap(this::attempt));
        }
    }
}
