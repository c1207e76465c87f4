package till

import (
	"context"
	"io"
	"iter"
	"slices"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	tillv1 "example.com/lightning-till/clients/go/till/v1"
)

// longestSilence of an event stream is three heartbeats of Till.
const longestSilence = 45 * time.Second

// EventsOption configures a [Client.Events]. A [WatchOption] does so too.
type EventsOption interface {
	applyToEvents(*events)
}

type eventsOption func(*events)

func (o eventsOption) applyToEvents(e *events) { o(e) }

func (o WatchOption) applyToEvents(e *events) { o(e.attempts) }

// After begins behind the event with this sequence, as a rule the last one that the caller has handled. 0: before the
// first event ever.
func After(sequence uint64) EventsOption {
	return eventsOption(func(e *events) {
		e.last = sequence
		e.request.Start = &tillv1.WatchEventsRequest_After{After: sequence}
	})
}

// FromBeginning begins with the oldest event that Till has kept.
func FromBeginning() EventsOption {
	return from(tillv1.LogPosition_LOG_POSITION_BEGINNING)
}

// FromNow begins with the first event after the connection is made. It is the default.
func FromNow() EventsOption {
	return from(tillv1.LogPosition_LOG_POSITION_NOW)
}

func from(position tillv1.LogPosition) EventsOption {
	return eventsOption(func(e *events) {
		e.last = 0
		e.request.Start = &tillv1.WatchEventsRequest_From{From: position}
	})
}

// AllUsers yields the events of all users, for keys with the scope admin.
func AllUsers() EventsOption {
	return eventsOption(func(e *events) { e.request.AllUsers = true })
}

// AfterCursor yields the events of all users, and begins behind a Cursor of an event or a NextCursor of
// client.EventLog.ListEvents.
func AfterCursor(cursor string) EventsOption {
	return eventsOption(func(e *events) {
		e.request.AllUsers = true
		e.request.Start = &tillv1.WatchEventsRequest_Cursor{Cursor: cursor}
	})
}

// EventTypes yields only events of these types, such as "invoice.paid".
func EventTypes(types ...string) EventsOption {
	types = slices.Clone(types)
	return eventsOption(func(e *events) { e.filter().Types = types })
}

// MetadataType yields only events of invoices with this type in their metadata.
func MetadataType(metadataType string) EventsOption {
	return eventsOption(func(e *events) { e.filter().MetadataType = &metadataType })
}

// Events yields the events of the user's log, each once and in order, first those in the log, then new ones.
//
//	for event, err := range client.Events(ctx, till.After(last), till.EventTypes("invoice.paid")) {
//		if err != nil {
//			return err
//		}
//		handle(event)
//	}
//
// Before the first response of Till the events fail like a call, unless they have the option [WaitForReady]. After it,
// they reconnect until ctx ends if the connection is lost or is silent for 45 s, and continue behind the last event. An
// error that waiting does not cure is yielded once, as the last value. With [EventsGone], Till has removed events that
// were not yielded. Each range is a stream of its own; leaving the loop ends it.
func (c *Client) Events(ctx context.Context, opts ...EventsOption) iter.Seq2[*tillv1.Event, error] {
	return func(yield func(*tillv1.Event, error) bool) {
		e := &events{
			attempts: newAttempts(c, "event stream"),
			request:  &tillv1.WatchEventsRequest{},
			yield:    func(event *tillv1.Event) bool { return yield(event, nil) },
		}
		FromNow().applyToEvents(e)
		for _, option := range opts {
			option.applyToEvents(e)
		}
		if err := e.run(ctx); err != nil {
			yield(nil, err)
		}
	}
}

// events is one event stream, over all its attempts.
type events struct {
	*attempts
	request *tillv1.WatchEventsRequest
	yield   func(*tillv1.Event) bool
	// last is the sequence that the stream has reached. 0 with all users.
	last uint64
}

func (e *events) filter() *tillv1.EventFilter {
	if e.request.Filter == nil {
		e.request.Filter = &tillv1.EventFilter{}
	}
	return e.request.Filter
}

// run yields events until the caller leaves the loop.
func (e *events) run(ctx context.Context) error {
	filter := e.request.GetFilter()
	for _, text := range append([]string{e.request.GetCursor(), filter.GetMetadataType()}, filter.GetTypes()...) {
		if !utf8.ValidString(text) {
			// gRPC's error would look like a lost connection.
			return newError(status.New(codes.InvalidArgument, "the cursor or the filter is not valid UTF-8"))
		}
	}
	for {
		err := e.attempt(ctx)
		if err == nil {
			return nil
		}
		if err := e.pauseAfter(ctx, err); err != nil {
			return err
		}
	}
}

// attempt yields the events of one stream. It returns nil if the caller has left the loop.
func (e *events) attempt(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stream, err := e.client.EventLog.WatchEvents(ctx, e.request)
	if err != nil {
		return err
	}
	silence := newError(status.Newf(codes.Unavailable, "no response for %.0f s", longestSilence.Seconds()))
	for {
		// The time that the caller takes does not count.
		timer := time.AfterFunc(longestSilence, func() { cancel(silence) })
		response, err := stream.Recv()
		timer.Stop()
		switch {
		case err != nil && context.Cause(ctx) == silence:
			return silence
		// Not errors.Is: an error that wraps io.EOF is not the end of the stream.
		case err == io.EOF:
			return newError(status.New(codes.Unavailable, "the event stream ended"))
		case err != nil:
			return err
		}
		e.received()
		if !e.yieldAll(response) {
			return nil
		}
	}
}

// yieldAll yields the events of a response, and moves the start of the next attempt behind them.
func (e *events) yieldAll(response *tillv1.WatchEventsResponse) bool {
	for _, event := range response.Events {
		if !e.request.AllUsers {
			if event.Sequence <= e.last {
				continue
			}
			e.last = event.Sequence
		}
		if !e.yield(event) {
			return false
		}
	}
	if e.request.AllUsers {
		e.request.Start = &tillv1.WatchEventsRequest_Cursor{Cursor: response.NextCursor}
	} else {
		e.last = max(e.last, response.NextAfter)
		e.request.Start = &tillv1.WatchEventsRequest_After{After: e.last}
	}
	return true
}
