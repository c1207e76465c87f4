package till.client;

import io.grpc.MethodDescriptor;
import java.util.ArrayList;
import java.util.List;
import till.v1.Event;
import till.v1.EventServiceGrpc;
import till.v1.WatchEventsRequest;
import till.v1.WatchEventsResponse;

/** The events of a log, each once. They have no end. */
final class EventSubject implements Subject<WatchEventsRequest, WatchEventsResponse, Event> {
    private WatchEventsRequest request;

    EventSubject(WatchEventsRequest request) {
        this.request = request;
    }

    @Override
    public String name() {
        return "event stream";
    }

    @Override
    public MethodDescriptor<WatchEventsRequest, WatchEventsResponse> method() {
        return EventServiceGrpc.getWatchEventsMethod();
    }

    @Override
    public WatchEventsRequest request() {
        return request;
    }

    @Override
    public List<Event> news(WatchEventsResponse message) {
        if (request.getAllUsers()) {
            request = request.toBuilder().setCursor(message.getNextCursor()).build();
            return message.getEventsList();
        }
        // 0 without a start behind an event.
        long last = request.getAfter();
        var news = new ArrayList<Event>();
        for (Event event : message.getEventsList()) {
            if (Long.compareUnsigned(event.getSequence(), last) > 0) {
                last = event.getSequence();
                news.add(event);
            }
        }
        long next = Long.compareUnsigned(message.getNextAfter(), last) > 0 ? message.getNextAfter() : last;
        request = request.toBuilder().setAfter(next).build();
        return news;
    }

    @Override
    public boolean isComplete() {
        return false;
    }

    @Override
    public String earlyEnd() {
        return "the event stream ended";
    }
}
