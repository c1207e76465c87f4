package till.client;

import io.grpc.CallOptions;
import io.grpc.Channel;
import java.util.concurrent.CompletableFuture;
import till.v1.EventServiceGrpc;
import till.v1.ListEventsRequest;
import till.v1.ListEventsResponse;

/**
 * Calls that read the log of events by page. {@link TillClient#watchEvents} streams it.
 *
 * <p>A method throws a {@link TillException}, or a {@link java.util.concurrent.CancellationException} if its caller cancels
 * the call. The future of its {@code Async} form fails with the same; cancelling this future cancels the call. {@code
 * withDeadlineAfter} and the other options of gRPC's stubs return a changed copy.
 */
public final class Events extends Calls<Events> {
    Events(Channel channel, CallOptions options) {
        super(channel, options);
    }

    @Override
    protected Events build(Channel channel, CallOptions options) {
        return new Events(channel, options);
    }

    /**
     * Reads a page of events. Scope: events:read.
     *
     * <p>EVENTS_GONE (E16): events after the start were removed.
     *
     * @param request the request
     * @return the events, and where the next page begins
     */
    public ListEventsResponse listEvents(ListEventsRequest request) {
        return call(EventServiceGrpc.getListEventsMethod(), request);
    }

    /**
     * Starts {@link #listEvents}, and does not wait.
     *
     * @param request the request
     * @return the response, later
     */
    public CompletableFuture<ListEventsResponse> listEventsAsync(ListEventsRequest request) {
        return start(EventServiceGrpc.getListEventsMethod(), request);
    }
}
