package till.conformance;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;
import java.util.function.Consumer;
import till.v1.Invoice;

/** Takes one state after the other; the future ends as the publisher does. */
final class OneByOne implements Flow.Subscriber<Invoice> {
    private final Consumer<Invoice> onState;
    private final CompletableFuture<Void> end;
    private Flow.Subscription subscription;

    OneByOne(Consumer<Invoice> onState, CompletableFuture<Void> end) {
        this.onState = onState;
        this.end = end;
    }

    @Override
    public void onSubscribe(Flow.Subscription subscription) {
        this.subscription = subscription;
        subscription.request(1);
    }

    @Override
    public void onNext(Invoice state) {
        onState.accept(state);
        subscription.request(1);
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
