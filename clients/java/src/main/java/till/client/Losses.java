package till.client;

import static java.util.concurrent.TimeUnit.MILLISECONDS;

import io.grpc.Status;
import java.util.concurrent.ThreadLocalRandom;
import org.jspecify.annotations.Nullable;
import till.client.TillException.Code;

/**
 * Decides which errors of a watch, an event stream, or a page of a list, are losses of its connection, counts those in a row, and sets the
 * pauses after them.
 */
final class Losses {
    private static final long FIRST_PAUSE = MILLISECONDS.toNanos(100);
    private static final long LONGEST_PAUSE = MILLISECONDS.toNanos(1500);

    private final String what;
    private boolean canComeBack;
    private int inARow;
    private long pauseNanos = FIRST_PAUSE;
    private @Nullable TillException last;

    /**
     * @param what can be lost, for errors
     * @param canComeBack before the first message too
     */
    Losses(String what, boolean canComeBack) {
        this.what = what;
        this.canComeBack = canComeBack;
    }

    /** Returns whether an error is a loss that another attempt may cure. */
    boolean include(TillException error) {
        boolean isOfTill = error.getCode() != Code.NONE;
        return canComeBack
                && switch (error.getStatus().getCode()) {
                    case UNAVAILABLE -> true;
                    // A reset behind a proxy.
                    case INTERNAL, UNKNOWN, CANCELLED -> !isOfTill;
                    default -> isOfTill && error.getRetryAfter().isPresent();
                };
    }

    Connection add(TillException loss) {
        last = loss;
        inARow++;
        return new Connection(true, inARow, loss);
    }

    /** Returns the time to wait after the last loss. Jitter keeps watches that were lost together from coming back together. */
    long pauseNanos() {
        var random = ThreadLocalRandom.current();
        if (last != null && last.getCode() != Code.NONE && last.getRetryAfter().isPresent()) {
            return (long) (last.getRetryAfter().get().toNanos() * random.nextDouble(1, 1.5));
        }
        long pause = pauseNanos;
        pauseNanos = Math.min(2 * pause, LONGEST_PAUSE);
        return (long) (pause * random.nextDouble(0.5, 1));
    }

    /** Notes a message; returns the change of the connection if it was lost before. */
    @Nullable Connection end() {
        Connection back = inARow == 0 ? null : new Connection(false, inARow, null);
        canComeBack = true;
        inARow = 0;
        pauseNanos = FIRST_PAUSE;
        last = null;
        return back;
    }

    TillException deadlineExceeded() {
        String loss = last == null ? "" : "; its last loss: " + last.getMessage();
        var status = Status.DEADLINE_EXCEEDED.withDescription("the deadline of the " + what + " has passed" + loss);
        return TillException.of(status.withCause(last), null);
    }
}
