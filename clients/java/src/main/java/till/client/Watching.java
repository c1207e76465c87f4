package till.client;

import static java.util.concurrent.TimeUnit.NANOSECONDS;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.Context;
import io.grpc.Context.CancellationListener;
import io.grpc.Deadline;
import io.grpc.Metadata;
import io.grpc.Status;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Queue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * One watch of an invoice or of events: its attempts, and the pauses between them. Thread-safe.
 *
 * <p>The receiver gets one report at a time, in order. Items and changes of the connection wait until an item is requested.
 * While a report waits, no message is read and no attempt starts, so a slow receiver needs no memory.
 */
final class Watching<Q, R, T> {
    private final Channel channel;
    private final Executor executor;
    private final CallOptions callOptions;
    private final Subject<Q, R, T> subject;
    private final @Nullable Duration longestSilence;
    private final Losses losses;
    private final Receiver<? super T> receiver;
    private final Consumer<? super Watching<Q, R, T>> onEnd;
    private final Context context = Context.current();
    private final Steps steps = new Steps(this, this::nextStep, this::cancel);
    private final CancellationListener onContextEnd = ended -> fail(contextFailure());

    private final Queue<Report> reports = new ArrayDeque<>();
    private long requested;
    private boolean isAttemptDue;
    private boolean isMessageDue;
    private @Nullable Silence silence;
    private @Nullable ClientCall<Q, R> call;
    private @Nullable Runnable end;
    private boolean hasEnded;

    interface Receiver<T> {
        void item(T item);

        void connection(Connection change);

        /** The last report; error is null if the watch is complete. */
        void end(@Nullable RuntimeException error);
    }

    private record Report(Runnable delivery, boolean isItem) {}

    /**
     * @param longestSilence after which an attempt without a message is lost; null if the subject may be silent
     */
    Watching(
            Channel channel,
            Executor executor,
            Subject<Q, R, T> subject,
            WatchOptions options,
            @Nullable Duration longestSilence,
            Receiver<? super T> receiver,
            Consumer<? super Watching<Q, R, T>> onEnd) {
        this.channel = channel;
        this.executor = executor;
        this.subject = subject;
        this.longestSilence = longestSilence;
        this.losses = new Losses(subject.name(), options.waitForReady);
        this.receiver = receiver;
        this.onEnd = onEnd;
        this.callOptions = CallOptions.DEFAULT.withDeadline(options.deadline(context.getDeadline()));
    }

    String name() {
        return subject.name();
    }

    void start() {
        context.addListener(onContextEnd, Runnable::run);
        attemptNow();
    }

    void request(long items) {
        synchronized (this) {
            requested = requested + items < 0 ? Long.MAX_VALUE : requested + items;
        }
        steps.run();
    }

    /** Ends the watch without a report. */
    void cancel() {
        endBy(() -> {});
    }

    /** Ends the watch because something that it needs was closed. */
    void fail(String reason) {
        fail(new CancellationException(reason));
    }

    /** Ends the watch with an error, which overtakes other reports. */
    void fail(RuntimeException error) {
        endBy(() -> receiver.end(error));
    }

    private void endBy(Runnable lastReport) {
        synchronized (this) {
            reports.clear();
            end = lastReport;
        }
        steps.run();
    }

    private @Nullable Runnable nextStep() {
        var running = call;
        if (hasEnded) {
            return null;
        } else if (!reports.isEmpty()) {
            if (requested == 0) {
                return null;
            }
            Report report = reports.remove();
            requested -= report.isItem && requested < Long.MAX_VALUE ? 1 : 0;
            return report.delivery;
        } else if (end != null) {
            hasEnded = true;
            var lastReport = end;
            return () -> finish(running, lastReport);
        } else if (isAttemptDue) {
            isAttemptDue = false;
            return () -> context.run(this::tryToAttempt);
        } else if (isMessageDue && running != null) {
            isMessageDue = false;
            if (silence != null) {
                silence.begin();
            }
            return () -> running.request(1);
        }
        return null;
    }


    private void finish(@Nullable ClientCall<?, ?> running, Runnable lastReport) {
        if (running != null) {
            running.cancel("the watch has ended", null);
        }
        context.removeListener(onContextEnd);
        onEnd.accept(this);
        lastReport.run();
    }

    private void attemptNow() {
        synchronized (this) {
            isAttemptDue = true;
        }
        steps.run();
    }

    private void tryToAttempt() {
        try {
            attempt();
        } catch (RuntimeException fault) {
            fail(fault);
        }
    }

    private void attempt() {
        var attempt = channel.newCall(subject.method(), callOptions);
        Q request;
        synchronized (this) {
            call = attempt;
            silence = longestSilence == null ? null : new Silence(attempt, longestSilence, executor);
            isMessageDue = true;
            request = subject.request();
        }
        attempt.start(new ClientCall.Listener<>() {
            @Override
            public void onMessage(R message) {
                received(message);
            }

            @Override
            public void onClose(Status status, Metadata trailers) {
                closed(status, trailers);
            }
        }, new Metadata());
        attempt.sendMessage(request);
        attempt.halfClose();
    }

    private void received(R message) {
        synchronized (this) {
            if (silence != null) {
                silence.end();
            }
            if (end != null) {
                return;
            }
            Connection back = losses.end();
            if (back != null) {
                report(back);
            }
            isMessageDue = true;
            for (T item : subject.news(message)) {
                reports.add(new Report(() -> receiver.item(item), true));
            }
            if (subject.isComplete()) {
                end = () -> receiver.end(null);
            }
        }
        steps.run();
    }

    private void closed(Status status, Metadata trailers) {
        synchronized (this) {
            if (silence != null) {
                silence.end();
            }
            if (end != null) {
                return;
            }
            call = null;
            var error = TillException.of(reason(status), trailers);
            if (context.isCancelled() || isDeadline(error)) {
                RuntimeException failure = contextFailure();
                end = () -> receiver.end(failure);
            } else if (losses.include(error)) {
                report(losses.add(error));
                pause();
            } else {
                end = () -> receiver.end(error);
            }
        }
        steps.run();
    }

    private Status reason(Status status) {
        if (silence != null && silence.isTooLong()) {
            return Status.UNAVAILABLE.withDescription("no response for " + silence.longestSeconds() + " s");
        }
        return status.isOk() ? Status.UNAVAILABLE.withDescription(subject.earlyEnd()) : status;
    }

    private void report(Connection change) {
        reports.add(new Report(() -> receiver.connection(change), false));
    }

    private boolean isDeadline(TillException error) {
        return callOptions.getDeadline() != null
                && error.getStatus().getCode() == Status.Code.DEADLINE_EXCEEDED
                && error.getCode() == TillException.Code.NONE;
    }

    private void pause() {
        long nanos = losses.pauseNanos();
        Deadline deadline = callOptions.getDeadline();
        // An attempt after the deadline fails by itself.
        nanos = deadline == null ? nanos : Math.min(nanos, deadline.timeRemaining(NANOSECONDS));
        CompletableFuture.delayedExecutor(nanos, NANOSECONDS, executor).execute(this::attemptNow);
    }

    private synchronized RuntimeException contextFailure() {
        Throwable cause = context.cancellationCause();
        return context.isCancelled() && !(cause instanceof TimeoutException)
                ? Calls.cancellation("the " + subject.name() + " was cancelled", cause)
                : losses.deadlineExceeded();
    }
}
