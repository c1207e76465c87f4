package till.client;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;
import org.jspecify.annotations.Nullable;

/** Completes a future with the last item of a publisher. */
final class Last<T> implements Flow.Subscriber<T> {
    private final CompletableFuture<T> future;
    private @Nullable T last;

    Last(CompletableFuture<T> future) {
        this.future = future;
    }

    @Override
    public void onSubscribe(Flow.Subscription subscription) {
        future.whenComplete((item, error) -> subscription.cancel());
        subscription.request(Long.MAX_VALUE);
    }

    @Override
    public void onNext(T item) {
        last = item;
    }

    @Override
    public void onError(Throwable error) {
        future.completeExceptionally(error);
    }

    @Override
    public void onComplete() {
        future.complete(last);
    }
}
