package till.client;

import static java.util.concurrent.TimeUnit.SECONDS;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static till.client.FakeTill.next;

import com.google.protobuf.Any;
import com.google.rpc.ErrorInfo;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.CancellationException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import till.v1.Event;
import till.v1.EventFilter;
import till.v1.LogPosition;
import till.v1.WatchEventsRequest;
import till.v1.WatchEventsResponse;

@Timeout(20)
class EventsTest {
    private static final StatusRuntimeException AWAY = Status.UNAVAILABLE.withDescription("away").asRuntimeException();

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

    private static WatchEventsResponse batch(long nextAfter, long... sequences) {
        var response = WatchEventsResponse.newBuilder().setNextAfter(nextAfter);
        for (long sequence : sequences) {
            response.addEvents(Event.newBuilder().setSequence(sequence));
        }
        return response.build();
    }

    private Recorder<Event> record(EventOptions options, Duration longestSilence) {
        var recorder = new Recorder<Event>(Event::getSequence);
        till.watchEventsPublisher(options, longestSilence).subscribe(recorder);
        recorder.subscription.request(Long.MAX_VALUE);
        return recorder;
    }

    private static void assertNext(Recorder<Event> recorder, long... sequences) throws InterruptedException {
        for (long sequence : sequences) {
            assertEquals(sequence, next(recorder.reports));
        }
    }

    @Test
    void eventsContinueBehindTheLastOne() throws Exception {
        var recorder = record(EventOptions.fromNow(), Silence.LONGEST);
        assertEquals(LogPosition.LOG_POSITION_NOW, next(fake.eventRequests).getFrom());
        end(batch(0));

        assertEquals(WatchEventsRequest.newBuilder().setAfter(0).build(), next(fake.eventRequests));
        end(batch(2, 1, 2), batch(3, 3));
        assertNext(recorder, 1, 2, 3);

        assertEquals(3, next(fake.eventRequests).getAfter());
        // A heartbeat behind events that do not match.
        end(batch(3, 3), batch(7));

        assertEquals(7, next(fake.eventRequests).getAfter());
        end();

        assertEquals(7, next(fake.eventRequests).getAfter());
        next(fake.eventStreams).onNext(batch(9, 6, 7, 8, 9));
        assertNext(recorder, 8, 9);
    }

    private void end(WatchEventsResponse... responses) throws InterruptedException {
        StreamObserver<WatchEventsResponse> stream = next(fake.eventStreams);
        List.of(responses).forEach(stream::onNext);
        stream.onError(AWAY);
    }

    @Test
    void eventsOfAllUsersContinueAtTheCursor() throws Exception {
        var recorder = record(EventOptions.afterCursor("one"), Silence.LONGEST);
        var request = WatchEventsRequest.newBuilder().setAllUsers(true);
        assertEquals(request.setCursor("one").build(), next(fake.eventRequests));
        end(batch(0, 5, 1), batch(0).toBuilder().setNextCursor("two").build());
        assertNext(recorder, 5, 1);
        assertEquals(request.setCursor("two").build(), next(fake.eventRequests));
    }

    @Test
    void sequencesMayHaveAllBits() throws Exception {
        var recorder = record(EventOptions.after(Long.MAX_VALUE), Silence.LONGEST);
        next(fake.eventStreams).onNext(batch(Long.MIN_VALUE, Long.MAX_VALUE, Long.MIN_VALUE));
        assertNext(recorder, Long.MIN_VALUE);
    }

    @Test
    void theOptionsAreSent() throws Exception {
        assertRequest(options -> options, WatchEventsRequest.newBuilder());
        assertRequest(EventOptions::withAllUsers, WatchEventsRequest.newBuilder().setAllUsers(true));
        var filter = EventFilter.newBuilder().addTypes("invoice.paid").setMetadataType("");
        assertRequest(
                options -> options.withTypes("invoice.fried").withTypes("invoice.paid").withMetadataType(""),
                WatchEventsRequest.newBuilder().setFilter(filter));
    }

    private void assertRequest(UnaryOperator<EventOptions> change, WatchEventsRequest.Builder request) throws Exception {
        EventStream events = till.watchEvents(change.apply(EventOptions.fromBeginning()));
        assertEquals(request.setFrom(LogPosition.LOG_POSITION_BEGINNING).build(), next(fake.eventRequests));
        events.close();
    }

    @Test
    void silenceIsALoss() throws Exception {
        var changes = new LinkedBlockingQueue<Connection>();
        var options = EventOptions.after(0).onConnection(changes::add);
        var recorder = record(options, Duration.ofSeconds(1));
        var silent = next(fake.eventStreams);
        silent.onNext(batch(1, 1));
        assertNext(recorder, 1);

        var loss = next(changes);
        assertEquals("UNAVAILABLE: no response for 1 s", loss.error().getMessage());
        assertTrue(fake.cancelled.await(10, SECONDS));
        next(fake.eventStreams).onNext(batch(2, 2));
        assertNext(recorder, 2);
        assertFalse(next(changes).lost());
    }

    @Test
    void theTimeOfTheCallerIsNoSilence() throws Exception {
        var changes = new LinkedBlockingQueue<Connection>();
        var recorder = new Recorder<Event>(Event::getSequence);
        var options = EventOptions.after(0).onConnection(changes::add);
        till.watchEventsPublisher(options, Duration.ofSeconds(1)).subscribe(recorder);
        var stream = next(fake.eventStreams);
        stream.onNext(batch(2, 1, 2));
        // The second event waits for its request, so no message is awaited.
        recorder.subscription.request(1);
        assertNext(recorder, 1);
        assertFalse(fake.cancelled.await(2, SECONDS));
        recorder.subscription.request(1);
        assertNext(recorder, 2);
        assertTrue(changes.isEmpty());
    }

    @Test
    void anErrorThatWaitingDoesNotCureIsTheLastReport() throws Exception {
        var info = ErrorInfo.newBuilder().setDomain("till").putMetadata("code", "E16").putMetadata("oldest_sequence", "4711");
        var gone = com.google.rpc.Status.newBuilder().setCode(Status.Code.OUT_OF_RANGE.value()).addDetails(Any.pack(info.build()));
        var recorder = record(EventOptions.after(0), Silence.LONGEST);
        end(batch(1, 1));
        next(fake.eventStreams).onError(StatusProto.toStatusRuntimeException(gone.build()));
        assertNext(recorder, 1);
        var error = (TillException) next(recorder.reports);
        assertEquals(TillException.Code.EVENTS_GONE, error.getCode());
        assertEquals(OptionalLong.of(4711), error.getOldestSequence());
    }

    @Test
    void eventsFailLikeACallBeforeTheFirstResponse() throws Exception {
        try (EventStream events = till.watchEvents(EventOptions.fromNow())) {
            next(fake.eventStreams).onError(AWAY);
            assertEquals("UNAVAILABLE: away", assertThrows(TillException.class, events::hasNext).getMessage());
        }
        var recorder = record(EventOptions.fromNow().withWaitForReady(), Silence.LONGEST);
        next(fake.eventStreams).onError(AWAY);
        next(fake.eventStreams).onNext(batch(5, 5));
        assertNext(recorder, 5);
    }

    @Test
    void aClosedStreamEndsAtTillToo() throws Exception {
        EventStream events = till.watchEvents(EventOptions.after(0));
        next(fake.eventStreams).onNext(batch(2, 1, 2));
        assertEquals(1, events.next().getSequence());
        events.close();
        assertEquals(
                "the event stream was closed", assertThrows(CancellationException.class, events::hasNext).getMessage());
        assertTrue(fake.cancelled.await(10, SECONDS));
    }

    @Test
    void aStreamHasADeadline() throws Exception {
        var options = EventOptions.fromNow().withTimeout(Duration.ofSeconds(1));
        try (EventStream events = till.watchEvents(options)) {
            next(fake.eventStreams).onNext(batch(0));
            var error = assertThrows(TillException.class, events::hasNext);
            assertEquals(Status.Code.DEADLINE_EXCEEDED, error.getStatus().getCode());
        }
    }
}
