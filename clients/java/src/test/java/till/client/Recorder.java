package till.client;

import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Flow;
import java.util.concurrent.LinkedBlockingQueue;
import till.v1.Invoice;

/** Records the reports of a publisher: statuses, then "complete" or an error. Requests nothing by itself. */
final class Recorder implements Flow.Subscriber<Invoice> {
    final BlockingQueue<Object> reports = new LinkedBlockingQueue<>();
    Flow.Subscription subscription;

    @Override
    public void onSubscribe(Flow.Subscription subscription) {
        this.subscription = subscription;
    }

    @Override
    public void onNext(Invoice state) {
        reports.add(state.getStatus());
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
