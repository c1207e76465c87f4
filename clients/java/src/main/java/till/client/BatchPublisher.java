package till.client;

import io.grpc.Context;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Flow;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import till.client.Batches.Batch;

/** Publishes items that come in batches. A batch is fetched when an item of it is requested. */
final class BatchPublisher<T> implements Flow.Publisher<T> {
    private final Supplier<? extends Batches<T>> newBatches;

    BatchPublisher(Supplier<? extends Batches<T>> newBatches) {
        this.newBatches = newBatches;
    }

    @Override
    public void subscribe(Flow.Subscriber<? super T> subscriber) {
        subscriber.onSubscribe(new Subscription<>(subscriber, newBatches.get()));
    }

    private static final class Subscription<T> implements Flow.Subscription {
        private final Flow.Subscriber<? super T> subscriber;
        private final Batches<T> batches;
        private final Context context = Context.current();
        private final Steps steps = new Steps(this, this::nextStep, this::cancel);

        private Batch<T> batch = Batch.none();
        private long requested;
        private boolean isFetching;
        private @Nullable Runnable end;
        private boolean hasEnded;

        Subscription(Flow.Subscriber<? super T> subscriber, Batches<T> batches) {
            this.subscriber = subscriber;
            this.batches = batches;
        }

        @Override
        public void request(long items) {
            if (items < 1) {
                endBy(() -> subscriber.onError(new IllegalArgumentException("request 1 item or more, not " + items)));
                return;
            }
            synchronized (this) {
                requested = requested + items < 0 ? Long.MAX_VALUE : requested + items;
            }
            steps.run();
        }

        @Override
        public void cancel() {
            endBy(() -> {});
        }

        private void endBy(Runnable lastReport) {
            synchronized (this) {
                end = lastReport;
            }
            steps.run();
        }

        private @Nullable Runnable nextStep() {
            if (hasEnded) {
                return null;
            } else if (end != null) {
                hasEnded = true;
                var lastReport = end;
                return () -> {
                    batches.cancel();
                    lastReport.run();
                };
            } else if (batch.items().hasNext()) {
                if (requested == 0) {
                    return null;
                }
                requested -= requested < Long.MAX_VALUE ? 1 : 0;
                T item = batch.items().next();
                return () -> subscriber.onNext(item);
            } else if (batch.isLast()) {
                hasEnded = true;
                return subscriber::onComplete;
            } else if (requested > 0 && !isFetching) {
                isFetching = true;
                return () -> context.run(this::fetch);
            }
            return null;
        }

        private void fetch() {
            CompletableFuture<Batch<T>> next;
            try {
                next = batches.next();
            } catch (RuntimeException fault) {
                next = CompletableFuture.failedFuture(fault);
            }
            next.whenComplete((fetched, error) -> {
                synchronized (this) {
                    isFetching = false;
                    if (error == null) {
                        batch = fetched;
                    } else if (end == null) {
                        Throwable cause = error instanceof CompletionException ? error.getCause() : error;
                        end = () -> subscriber.onError(cause);
                    }
                }
                steps.run();
            });
        }
    }
}
