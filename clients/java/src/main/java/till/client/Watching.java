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
import java.util.ArrayDeque;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import till.v1.Invoice;
import till.v1.InvoiceServiceGrpc;
import till.v1.WatchInvoiceRequest;
import till.v1.WatchInvoiceResponse;

/**
 * One watch: its attempts, the pauses between them, and the last state. Thread-safe.
 *
 * <p>The receiver gets one report at a time, in order. States and changes of the connection wait until a state is requested.
 * While a report waits, no message is read and no attempt starts, so a slow receiver needs no memory.
 */
final class Watching {
    private final Channel channel;
    private final Executor executor;
    private final CallOptions callOptions;
    private final WatchInvoiceRequest request;
    private final Losses losses;
    private final Receiver receiver;
    private final Consumer<? super Watching> onEnd;
    private final Context context = Context.current();
    private final CancellationListener onContextEnd = ended -> fail(contextFailure());

    private final Queue<Report> reports = new ArrayDeque<>();
    private long requested;
    private boolean isDelivering;
    private boolean isAttemptDue;
    private boolean isMessageDue;
    private @Nullable ClientCall<WatchInvoiceRequest, WatchInvoiceResponse> call;
    private @Nullable Runnable end;
    private boolean hasEnded;

    private @Nullable Invoice last;

    interface Receiver {
        void state(Invoice state);

        void connection(Connection change);

        /** The last report; error is null after the final state. */
        void end(@Nullable RuntimeException error);
    }

    private record Report(Runnable delivery, boolean isState) {}

    Watching(
            Channel channel,
            Executor executor,
            String invoiceId,
            WatchOptions options,
            Receiver receiver,
            Consumer<? super Watching> onEnd) {
        this.channel = channel;
        this.executor = executor;
        this.request = WatchInvoiceRequest.newBuilder().setInvoiceId(invoiceId).build();
        this.losses = new Losses("watch", options.waitForReady);
        this.receiver = receiver;
        this.onEnd = onEnd;
        this.callOptions = CallOptions.DEFAULT.withDeadline(options.deadline(context.getDeadline()));
    }

    void start() {
        context.addListener(onContextEnd, Runnable::run);
        attemptNow();
    }

    void request(long states) {
        synchronized (this) {
            requested = requested + states < 0 ? Long.MAX_VALUE : requested + states;
        }
        deliver();
    }

    /** Ends the watch without a report. */
    void cancel() {
        endBy(() -> {});
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
        deliver();
    }

    /** Does all that can be done now. One thread at a time; the others leave their work to it. */
    private void deliver() {
        synchronized (this) {
            if (isDelivering) {
                return;
            }
            isDelivering = true;
        }
        while (true) {
            Runnable step;
            synchronized (this) {
                step = nextStep();
                if (step == null) {
                    isDelivering = false;
                    return;
                }
            }
            try {
                step.run();
            } catch (RuntimeException | Error fault) {
                synchronized (this) {
                    isDelivering = false;
                }
                cancel();
                throw fault;
            }
        }
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
            requested -= report.isState && requested < Long.MAX_VALUE ? 1 : 0;
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
        deliver();
    }

    private void tryToAttempt() {
        try {
            attempt();
        } catch (RuntimeException fault) {
            fail(fault);
        }
    }

    private void attempt() {
        var attempt = channel.newCall(InvoiceServiceGrpc.getWatchInvoiceMethod(), callOptions);
        synchronized (this) {
            call = attempt;
            isMessageDue = true;
        }
        attempt.start(new ClientCall.Listener<>() {
            @Override
            public void onMessage(WatchInvoiceResponse response) {
                received(response.getInvoice());
            }

            @Override
            public void onClose(Status status, Metadata trailers) {
                closed(status, trailers);
            }
        }, new Metadata());
        attempt.sendMessage(request);
        attempt.halfClose();
    }

    private void received(Invoice state) {
        synchronized (this) {
            if (end != null) {
                return;
            }
            Connection back = losses.end();
            if (back != null) {
                report(back);
            }
            isMessageDue = true;
            if (!state.equals(last)) {
                last = state;
                reports.add(new Report(() -> receiver.state(state), true));
            }
            if (Watch.isFinal(state)) {
                end = () -> receiver.end(null);
            }
        }
        deliver();
    }

    private void closed(Status status, Metadata trailers) {
        synchronized (this) {
            if (end != null) {
                return;
            }
            call = null;
            var error = TillException.of(
                    status.isOk()
                            ? Status.UNAVAILABLE.withDescription("the watch ended before the invoice was final")
                            : status,
                    trailers);
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
        deliver();
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
                ? Calls.cancellation("the watch was cancelled", cause)
                : losses.deadlineExceeded();
    }
}
