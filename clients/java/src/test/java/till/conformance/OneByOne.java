package till.conformance;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;
import java.util.function.Consumer;

/** Takes one item after the other, up to a limit; the future ends as the publisher does. */
final class OneByOne<T> implements Flow.Subscriber<T> {
    private final Consumer<T> onItem;
    private long left;
    private final CompletableFuture<Void> end;
    private Flow.Subscription subscription;

    OneByOne(Consumer<T> onItem, long limit, CompletableFuture<Void> end) {
        this.onItem = onItem;
        this.left = limit;
        this.end = end;
    }

    @Override
    public void onSubscribe(Flow.Subscription subscription) {
        this.subscription = subscription;
        subscription.request(1);
    }

    @Override
    public void onNext(T item) {
        onItem.accept(item);
        left--;
        if (left > 0) {
            subscription.request(1);
        } else {
            subscription.cancel();
            end.complete(null);
        }
    }

    @Override
    public void onError(Throwable error) {
        end.completeExceptionally(error);
    }

    @Override
    public void onComplete() {
        end.complete(null);
    }
}
