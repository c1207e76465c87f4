package till.client;

import io.grpc.Deadline;
import java.time.Duration;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Options of a watch. Immutable: each method returns a changed copy. */
public final class WatchOptions {
    private static final WatchOptions DEFAULTS = new WatchOptions(null, false, change -> {});

    private final @Nullable Duration timeout;
    final boolean waitForReady;
    final Consumer<? super Connection> onConnection;

    private WatchOptions(@Nullable Duration timeout, boolean waitForReady, Consumer<? super Connection> onConnection) {
        this.timeout = timeout;
        this.waitForReady = waitForReady;
        this.onConnection = onConnection;
    }

    /**
     * Returns the options of a plain watch: no deadline, and it fails like a call before its first state.
     *
     * @return the options
     */
    public static WatchOptions defaults() {
        return DEFAULTS;
    }

    /**
     * Limits the time of the whole watch, over all its attempts.
     *
     * @param timeout after which the watch fails with DEADLINE_EXCEEDED
     * @return changed options
     */
    public WatchOptions withTimeout(Duration timeout) {
        return new WatchOptions(timeout, waitForReady, onConnection);
    }

    /**
     * Reconnects before the first state too, instead of failing like a call.
     *
     * @return changed options
     */
    public WatchOptions withWaitForReady() {
        return new WatchOptions(timeout, true, onConnection);
    }

    /**
     * Reports when the connection is lost and when it is back, in order with the states.
     *
     * @param listener called by the thread that waits in {@link Watch#hasNext}, or else by that which delivers the states.
     *     An exception of the listener ends the watch.
     * @return changed options
     */
    public WatchOptions onConnection(Consumer<? super Connection> listener) {
        return new WatchOptions(timeout, waitForReady, listener);
    }

    /** Returns the earlier deadline: that of the timeout, from now on, or the given one. */
    @Nullable Deadline deadline(@Nullable Deadline other) {
        return Calls.earlier(timeout, other);
    }
}
