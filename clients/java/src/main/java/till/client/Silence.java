package till.client;

import static java.util.concurrent.TimeUnit.NANOSECONDS;

import io.grpc.ClientCall;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;

/**
 * Cancels a call whose next message is awaited for too long. Thread-safe.
 *
 * <p>One check is pending at most, however many messages come.
 */
final class Silence {
    /** Three heartbeats of Till. */
    static final Duration LONGEST = Duration.ofSeconds(45);

    private final ClientCall<?, ?> call;
    private final long longestNanos;
    private final Executor executor;
    private long since;
    private boolean isAwaiting;
    private boolean isCheckDue;
    private boolean isTooLong;

    Silence(ClientCall<?, ?> call, Duration longest, Executor executor) {
        this.call = call;
        this.longestNanos = longest.toNanos();
        this.executor = executor;
    }

    /** Starts to wait for a message. */
    synchronized void begin() {
        since = System.nanoTime();
        isAwaiting = true;
        if (!isCheckDue) {
            isCheckDue = true;
            checkAfter(longestNanos);
        }
    }

    /** Notes a message, or the end of the call. */
    synchronized void end() {
        isAwaiting = false;
    }

    long longestSeconds() {
        return NANOSECONDS.toSeconds(longestNanos);
    }

    /** Returns whether the call was cancelled. */
    synchronized boolean isTooLong() {
        return isTooLong;
    }

    private void checkAfter(long nanos) {
        CompletableFuture.delayedExecutor(nanos, NANOSECONDS, executor).execute(this::check);
    }

    private void check() {
        synchronized (this) {
            long left = longestNanos - (System.nanoTime() - since);
            if (isAwaiting && left > 0) {
                checkAfter(left);
                return;
            }
            isCheckDue = false;
            if (!isAwaiting) {
                return;
            }
            isAwaiting = false;
            isTooLong = true;
        }
        call.cancel("no message has come for too long", null);
    }
}
