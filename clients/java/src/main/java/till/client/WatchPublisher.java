package till.client;

import java.util.concurrent.Flow;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Starts a watch for each subscriber. */
final class WatchPublisher<T> implements Flow.Publisher<T> {
    private final WatchStarter<T> starter;
    private final Consumer<? super Connection> onConnection;

    WatchPublisher(WatchStarter<T> starter, Consumer<? super Connection> onConnection) {
        this.starter = starter;
        this.onConnection = onConnection;
    }

    @Override
    public void subscribe(Flow.Subscriber<? super T> subscriber) {
        var subscription = new Subscription(subscriber);
        subscriber.onSubscribe(subscription);
        subscription.watching.start();
    }

    private final class Subscription implements Flow.Subscription, Watching.Receiver<T> {
        private final Flow.Subscriber<? super T> subscriber;
        private final Watching<?, ?, T> watching;

        Subscription(Flow.Subscriber<? super T> subscriber) {
            this.subscriber = subscriber;
            watching = starter.prepare(this);
        }

        @Override
        public void request(long items) {
            if (items < 1) {
                watching.fail(new IllegalArgumentException("request 1 item or more, not " + items));
            } else {
                watching.request(items);
            }
        }

        @Override
        public void cancel() {
            watching.cancel();
        }

        @Override
        public void item(T item) {
            subscriber.onNext(item);
        }

        @Override
        public void connection(Connection change) {
            try {
                onConnection.accept(change);
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
