package till.client;

import static java.util.concurrent.TimeUnit.SECONDS;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static till.client.FakeTill.get;
import static till.client.FakeTill.next;
import static till.client.FakeTill.state;
import static till.v1.InvoiceStatus.INVOICE_STATUS_PAID;
import static till.v1.InvoiceStatus.INVOICE_STATUS_UNPAID;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.Context;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Flow;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import till.v1.Invoice;

@Timeout(20)
class WatchTest {
    private FakeTill fake;
    private TillClient till;

    @BeforeEach
    void start() throws IOException {
        fake = new FakeTill();
        till = fake.client();
    }

    @AfterEach
    void stop() {
        till.close();
        fake.close();
    }

    @Test
    void aPublisherGivesNoMoreStatesThanRequested() throws Exception {
        var recorder = Recorder.ofStatuses();
        till.watchPublisher("id").subscribe(recorder);
        var responses = next(fake.watches);
        responses.onNext(state(INVOICE_STATUS_UNPAID));
        responses.onNext(state(INVOICE_STATUS_PAID));
        assertTrue(recorder.reports.isEmpty());
        recorder.subscription.request(1);
        assertEquals(INVOICE_STATUS_UNPAID, next(recorder.reports));
        assertTrue(recorder.reports.isEmpty());
        recorder.subscription.request(1);
        assertEquals(INVOICE_STATUS_PAID, next(recorder.reports));
        assertEquals("complete", next(recorder.reports));
    }

    @Test
    void aPublisherReportsAnEarlyErrorWithoutARequest() throws Exception {
        var recorder = Recorder.ofStatuses();
        till.watchPublisher("id").subscribe(recorder);
        next(fake.watches).onError(Status.NOT_FOUND.asRuntimeException());
        var error = (TillException) next(recorder.reports);
        assertEquals(Status.Code.NOT_FOUND, error.getStatus().getCode());
    }

    @Test
    void aRequestOfNoStatesIsAnError() throws Exception {
        var recorder = Recorder.ofStatuses();
        till.watchPublisher("id").subscribe(recorder);
        recorder.subscription.request(0);
        assertEquals(IllegalArgumentException.class, next(recorder.reports).getClass());
    }

    @Test
    void aCancelledSubscriptionEndsAtTillToo() throws Exception {
        var recorder = Recorder.ofStatuses();
        till.watchPublisher("id").subscribe(recorder);
        next(fake.watches);
        recorder.subscription.cancel();
        assertTrue(fake.cancelled.await(10, SECONDS));
        assertTrue(recorder.reports.isEmpty());
    }

    @Test
    void eachSubscriberHasAWatch() throws Exception {
        var publisher = till.watchPublisher("id");
        publisher.subscribe(Recorder.ofStatuses());
        publisher.subscribe(Recorder.ofStatuses());
        next(fake.watches);
        next(fake.watches);
    }

    @Test
    void aSubscriberThatThrowsEndsItsWatch() throws Exception {
        till.watchPublisher("id").subscribe(new Flow.Subscriber<>() {
            @Override
            public void onSubscribe(Flow.Subscription subscription) {
                subscription.request(1);
            }

            @Override
            public void onNext(Invoice state) {
                throw new IllegalStateException("a test: the subscriber fails");
            }

            @Override
            public void onError(Throwable error) {}

            @Override
            public void onComplete() {}
        });
        next(fake.watches).onNext(state(INVOICE_STATUS_UNPAID));
        assertTrue(fake.cancelled.await(10, SECONDS));
    }

    @Test
    void theFinalStateSurvivesALoss() throws Exception {
        CompletableFuture<Invoice> paid = till.finalState("id");
        var responses = next(fake.watches);
        responses.onNext(state(INVOICE_STATUS_UNPAID));
        responses.onError(Status.UNAVAILABLE.asRuntimeException());
        next(fake.watches).onNext(state(INVOICE_STATUS_PAID));
        assertEquals(INVOICE_STATUS_PAID, get(paid).getStatus());
    }

    @Test
    void aCancelledFutureEndsTheWatch() throws Exception {
        CompletableFuture<Invoice> paid = till.finalState("id");
        next(fake.watches);
        paid.cancel(true);
        assertTrue(fake.cancelled.await(10, SECONDS));
    }

    @Test
    void aWatchReportsItsConnectionInOrder() throws Exception {
        var reports = new ArrayList<Object>();
        var options = WatchOptions.defaults().onConnection(reports::add);
        try (Watch states = till.watch("id", options)) {
            var responses = next(fake.watches);
            responses.onNext(state(INVOICE_STATUS_UNPAID));
            reports.add(states.next().getStatus());
            responses.onError(Status.UNAVAILABLE.withDescription("one").asRuntimeException());
            CompletableFuture.runAsync(() -> {
                try {
                    next(fake.watches).onError(Status.UNAVAILABLE.withDescription("two").asRuntimeException());
                    next(fake.watches).onNext(state(INVOICE_STATUS_PAID));
                } catch (InterruptedException interrupted) {
                    throw new CompletionException(interrupted);
                }
            });
            reports.add(states.next().getStatus());
            assertFalse(states.hasNext());
        }
        assertEquals(INVOICE_STATUS_UNPAID, reports.get(0));
        var first = (Connection) reports.get(1);
        var second = (Connection) reports.get(2);
        assertEquals("one", first.error().getStatus().getDescription());
        assertEquals(2, second.attempt());
        assertEquals(new Connection(false, 2, null), reports.get(3));
        assertEquals(INVOICE_STATUS_PAID, reports.get(4));
        assertEquals(5, reports.size());
    }

    @Test
    void aListenerThatThrowsEndsTheWatch() throws Exception {
        var fault = new IllegalStateException("a test: the listener fails");
        var options = WatchOptions.defaults().withWaitForReady().onConnection(change -> {
            throw fault;
        });
        var recorder = Recorder.ofStatuses();
        till.watchPublisher("id", options).subscribe(recorder);
        recorder.subscription.request(1);
        next(fake.watches).onError(Status.UNAVAILABLE.asRuntimeException());
        assertSame(fault, next(recorder.reports));
        try (Watch states = till.watch("id", options)) {
            next(fake.watches).onError(Status.UNAVAILABLE.asRuntimeException());
            assertSame(fault, assertThrows(IllegalStateException.class, states::hasNext));
            assertThrows(CancellationException.class, states::hasNext);
        }
    }

    @Test
    void nothingAccumulatesForAWatchThatNobodyReads() throws Exception {
        till.watch("id", WatchOptions.defaults().withWaitForReady());
        next(fake.watches).onError(Status.UNAVAILABLE.asRuntimeException());
        // The first pause is 0.1 s at most.
        assertNull(fake.watches.poll(1, SECONDS));
    }

    @Test
    void theErrorOfADeadlineHasTheLastLossAsItsCause() throws Exception {
        try (Watch states = till.watch("id", WatchOptions.defaults().withTimeout(Duration.ofSeconds(2)))) {
            var responses = next(fake.watches);
            responses.onNext(state(INVOICE_STATUS_UNPAID));
            states.next();
            responses.onError(Status.UNAVAILABLE.withDescription("gone").asRuntimeException());
            var error = assertThrows(TillException.class, states::hasNext);
            assertEquals(Status.Code.DEADLINE_EXCEEDED, error.getStatus().getCode());
            assertEquals("UNAVAILABLE: gone", error.getCause().getMessage());
            assertTrue(error.getMessage().endsWith("UNAVAILABLE: gone"), error.getMessage());
        }
    }

    @Test
    void aClosedClientEndsItsWatches() throws Exception {
        Watch states = till.watch("id");
        next(fake.watches);
        till.close();
        assertEquals("the client was closed", assertThrows(CancellationException.class, states::hasNext).getMessage());
        assertThrows(CancellationException.class, till.watch("id")::hasNext);
    }

    @Test
    void anInterruptedThreadStopsWaiting() throws Exception {
        try (Watch states = till.watch("id")) {
            Thread.currentThread().interrupt();
            assertThrows(CancellationException.class, states::hasNext);
            assertTrue(Thread.interrupted());
        }
    }

    @Test
    void aContextEndsItsWatches() throws Exception {
        var context = Context.current().withCancellation();
        Watch states = context.call(() -> till.watch("id"));
        next(fake.watches);
        context.cancel(null);
        assertThrows(CancellationException.class, states::hasNext);
        assertTrue(fake.cancelled.await(10, SECONDS));
    }

    @Test
    void anAttemptThatCannotStartEndsTheWatch() {
        var fault = new IllegalStateException("a test: the interceptor fails");
        var broken = TillClient.builder(fake.channel).intercept(new ClientInterceptor() {
            @Override
            public <Q, R> ClientCall<Q, R> interceptCall(MethodDescriptor<Q, R> method, CallOptions options, Channel next) {
                throw fault;
            }
        }).build();
        assertSame(fault, assertThrows(IllegalStateException.class, broken.watch("id")::hasNext));
    }
}
