package till.client;

import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** Runs steps, one thread at a time; the others leave their work to it. */
final class Steps {
    private final Object lock;
    private final Supplier<? extends @Nullable Runnable> next;
    private final Runnable onFault;
    private boolean isRunning;

    /**
     * @param lock held while the next step is chosen, but not while it runs
     * @param next chooses a step; null if nothing can be done now
     * @param onFault called when a step throws
     */
    Steps(Object lock, Supplier<? extends @Nullable Runnable> next, Runnable onFault) {
        this.lock = lock;
        this.next = next;
        this.onFault = onFault;
    }

    /** Does all that can be done now. */
    void run() {
        synchronized (lock) {
            if (isRunning) {
                return;
            }
            isRunning = true;
        }
        while (true) {
            Runnable step;
            synchronized (lock) {
                step = next.get();
                if (step == null) {
                    isRunning = false;
                    return;
                }
            }
            try {
                step.run();
            } catch (RuntimeException | Error fault) {
                synchronized (lock) {
                    isRunning = false;
                }
                onFault.run();
                throw fault;
            }
        }
    }
}
