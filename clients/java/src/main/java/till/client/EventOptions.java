package till.client;

import java.time.Duration;
import java.util.List;
import java.util.function.Consumer;
import till.v1.LogPosition;
import till.v1.WatchEventsRequest;

/** Where a stream of events begins, and its options. Immutable: each method returns a changed copy. */
public final class EventOptions {
    final WatchEventsRequest request;
    final WatchOptions watch;

    private EventOptions(WatchEventsRequest.Builder request, WatchOptions watch) {
        this.request = request.build();
        this.watch = watch;
    }

    private static EventOptions of(WatchEventsRequest.Builder request) {
        return new EventOptions(request, WatchOptions.defaults());
    }

    /**
     * Begins with the first event after the connection is made.
     *
     * @return the options
     */
    public static EventOptions fromNow() {
        return of(WatchEventsRequest.newBuilder().setFrom(LogPosition.LOG_POSITION_NOW));
    }

    /**
     * Begins with the oldest event that Till has kept.
     *
     * @return the options
     */
    public static EventOptions fromBeginning() {
        return of(WatchEventsRequest.newBuilder().setFrom(LogPosition.LOG_POSITION_BEGINNING));
    }

    /**
     * Begins behind an event.
     *
     * @param sequence of the event, as a rule the last one that was handled; 0: before the first event ever
     * @return the options
     */
    public static EventOptions after(long sequence) {
        return of(WatchEventsRequest.newBuilder().setAfter(sequence));
    }

    /**
     * Begins behind a cursor, with the events of all users.
     *
     * @param cursor of an event, or the next cursor of {@link Events#listEvents}
     * @return the options
     */
    public static EventOptions afterCursor(String cursor) {
        return of(WatchEventsRequest.newBuilder().setCursor(cursor).setAllUsers(true));
    }

    /**
     * Chooses the events by their type.
     *
     * @param types such as {@code "invoice.paid"}; none: all
     * @return changed options
     */
    public EventOptions withTypes(String... types) {
        var changed = request.toBuilder();
        changed.getFilterBuilder().clearTypes().addAllTypes(List.of(types));
        return new EventOptions(changed, watch);
    }

    /**
     * Chooses events of invoices with this type in their metadata.
     *
     * @param type such as {@code "shop"}
     * @return changed options
     */
    public EventOptions withMetadataType(String type) {
        var changed = request.toBuilder();
        changed.getFilterBuilder().setMetadataType(type);
        return new EventOptions(changed, watch);
    }

    /**
     * Reads the events of all users, for keys with the scope admin.
     *
     * @return changed options
     */
    public EventOptions withAllUsers() {
        return new EventOptions(request.toBuilder().setAllUsers(true), watch);
    }

    /**
     * Limits the time of the whole stream, over all its attempts.
     *
     * @param timeout after which the stream fails with DEADLINE_EXCEEDED
     * @return changed options
     */
    public EventOptions withTimeout(Duration timeout) {
        return new EventOptions(request.toBuilder(), watch.withTimeout(timeout));
    }

    /**
     * Reconnects before Till's first response too, instead of failing like a call.
     *
     * @return changed options
     */
    public EventOptions withWaitForReady() {
        return new EventOptions(request.toBuilder(), watch.withWaitForReady());
    }

    /**
     * Reports when the connection is lost and when it is back, in order with the events.
     *
     * @param listener called by the thread that waits in {@link EventStream#hasNext}, or else by that which delivers the
     *     events. An exception of the listener ends the stream.
     * @return changed options
     */
    public EventOptions onConnection(Consumer<? super Connection> listener) {
        return new EventOptions(request.toBuilder(), watch.onConnection(listener));
    }
}
