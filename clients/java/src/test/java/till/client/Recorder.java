package till.client;

import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Flow;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Function;
import till.v1.Invoice;

/** Records the reports of a publisher: what its items are about, then "complete" or an error. Requests nothing by itself. */
final class Recorder<T> implements Flow.Subscriber<T> {
    private final Function<T, Object> about;
    final BlockingQueue<Object> reports = new LinkedBlockingQueue<>();
    Flow.Subscription subscription;

    Recorder(Function<T, Object> about) {
        this.about = about;
    }

    static Recorder<Invoice> ofStatuses() {
        return new Recorder<>(Invoice::getStatus);
    }

    @Override
    public void onSubscribe(Flow.Subscription subscription) {
        this.subscription = subscription;
    }

    @Override
    public void onNext(T item) {
        reports.add(about.apply(item));
    }

    @Override
    public void onError(Throwable error) {
        reports.add(error);
    }

    @Override
    public void onComplete() {
        reports.add("complete");
    }
}
