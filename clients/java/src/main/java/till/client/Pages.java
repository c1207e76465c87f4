package till.client;

import static java.util.concurrent.TimeUnit.NANOSECONDS;
import static java.util.concurrent.TimeUnit.SECONDS;

import io.grpc.Context;
import io.grpc.Deadline;
import io.grpc.Status;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;
import till.client.TillException.Code;

/** The pages of a list. */
final class Pages<T> implements Batches<T> {
    private static final int RETRIES_SECONDS = 30;

    private final Source<T> source;
    private final @Nullable Deadline listDeadline;
    private final @Nullable Duration timeout;
    private final Context context = Context.current();
    private volatile String token;
    private volatile boolean isFirst = true;
    private volatile CompletableFuture<Batch<T>> page = new CompletableFuture<>();

    /**
     * @param source of the pages
     * @param firstToken of the first page
     * @param listDeadline for all pages
     * @param timeout for each page
     */
    Pages(Source<T> source, String firstToken, @Nullable Deadline listDeadline, @Nullable Duration timeout) {
        this.source = source;
        this.token = firstToken;
        this.listDeadline = listDeadline;
        this.timeout = timeout;
    }

    @Override
    public CompletableFuture<Batch<T>> next() {
        page = new CompletableFuture<>();
        new Attempts(page).attempt();
        return page;
    }

    @Override
    public void cancel() {
        page.cancel(false);
    }

    private void received(Page<T> received) {
        isFirst = false;
        token = received.nextToken();
        page.complete(Batch.of(received.items(), token.isEmpty()));
    }

    /** Where pages come from. */
    interface Source<T> {
        /** Calls for the page of a token. Cancelling the future cancels the call. */
        CompletableFuture<Page<T>> fetch(String token, @Nullable Deadline deadline);
    }

    /** The items of a page, and the token of the next one; empty after the last. */
    record Page<T>(List<T> items, String nextToken) {}

    /** The attempts at one page. */
    private final class Attempts {
        private final CompletableFuture<Batch<T>> page;
        private final Losses losses = new Losses("page", !isFirst);
        private final @Nullable Deadline deadline = Calls.earlier(timeout, Calls.earlier(listDeadline, context.getDeadline()));
        private final Deadline end = deadline == null ? Deadline.after(RETRIES_SECONDS, SECONDS) : deadline;

        Attempts(CompletableFuture<Batch<T>> page) {
            this.page = page;
        }

        void attempt() {
            var call = source.fetch(token, deadline);
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
