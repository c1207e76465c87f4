package till.client;

import java.util.concurrent.Flow;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import till.v1.Invoice;

/** Starts a watch for each subscriber. */
final class WatchPublisher implements Flow.Publisher<Invoice> {
    private final Function<Watching.Receiver, Watching> newWatching;
    private final WatchOptions options;

    WatchPublisher(Function<Watching.Receiver, Watching> newWatching, WatchOptions options) {
        this.newWatching = newWatching;
        this.options = options;
    }

    @Override
    public void subscribe(Flow.Subscriber<? super Invoice> subscriber) {
        var subscription = new Subscription(subscriber);
        subscriber.onSubscribe(subscription);
        subscription.watching.start();
    }

    private final class Subscription implements Flow.Subscription, Watching.Receiver {
        private final Flow.Subscriber<? super Invoice> subscriber;
        private final Watching watching;

        Subscription(Flow.Subscriber<? super Invoice> subscriber) {
            this.subscriber = subscriber;
            watching = newWatching.apply(this);
        }

        @Override
        public void request(long states) {
            if (states < 1) {
                watching.fail(new IllegalArgumentException("request 1 state or more, not " + states));
            } else {
                watching.request(states);
            }
        }

        @Override
        public void cancel() {
            watching.cancel();
        }

        @Override
        public void state(Invoice state) {
            subscriber.onNext(state);
        }

        @Override
        public void connection(Connection change) {
            try {
                options.onConnection.accept(change);
            } catch (RuntimeException fault) {
                watching.fail(fault);
            }
        }

        @Override
        public void end(@Nullable RuntimeException error) {
            if (error == null) {
                subscriber.onComplete();
            } else {
                subscriber.onError(error);
            }
        }
    }
}
