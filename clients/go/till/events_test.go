package till_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"example.com/lightning-till/clients/go/till"
	tillv1 "example.com/lightning-till/clients/go/till/v1"
)

type eventStream = grpc.ServerStreamingServer[tillv1.WatchEventsResponse]

// eventLog is a Till whose event streams get one answer after the other.
type eventLog struct {
	tillv1.UnimplementedEventServiceServer
	answers []func(eventStream) error

	mu       sync.Mutex
	requests []*tillv1.WatchEventsRequest
}

func (l *eventLog) WatchEvents(request *tillv1.WatchEventsRequest, to eventStream) error {
	l.mu.Lock()
	l.requests = append(l.requests, request)
	answer := l.answers[len(l.requests)-1]
	l.mu.Unlock()
	return answer(to)
}

// starts returns where each attempt began.
func (l *eventLog) starts(t *testing.T) (starts []string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, request := range l.requests {
		only := &tillv1.WatchEventsRequest{Start: request.Start}
		text, err := protojson.Marshal(only)
		if err != nil {
			t.Fatal(err)
		}
		starts = append(starts, strings.ReplaceAll(string(text), " ", ""))
	}
	return starts
}

// batch is a response with the events of these sequences.
func batch(nextAfter uint64, sequences ...uint64) *tillv1.WatchEventsResponse {
	response := &tillv1.WatchEventsResponse{NextAfter: nextAfter}
	for _, sequence := range sequences {
		response.Events = append(response.Events, &tillv1.Event{Sequence: sequence})
	}
	return response
}

// sendsAll answers with these responses, then ends with an error.
func sendsAll(err error, responses ...*tillv1.WatchEventsResponse) func(eventStream) error {
	return func(to eventStream) error {
		for _, response := range responses {
			if err := to.Send(response); err != nil {
				return err
			}
		}
		return err
	}
}

// collect returns the sequences of all events, and the error that ends them.
func collect(t *testing.T, l *eventLog, options ...till.EventsOption) (sequences []uint64, last error) {
	t.Helper()
	for event, err := range serve(t, l).Events(context.Background(), options...) {
		if last = err; err == nil {
			sequences = append(sequences, event.Sequence)
		}
	}
	return sequences, last
}

func away() error { return status.Error(codes.Unavailable, "away") }

func TestEventsContinueBehindTheLastOne(t *testing.T) {
	end := refusal(t, codes.Unauthenticated, till.Unauthenticated)
	l := &eventLog{answers: []func(eventStream) error{
		sendsAll(away(), batch(0)),
		sendsAll(away(), batch(2, 1, 2), batch(3, 3)),
		// A heartbeat behind events that do not match.
		sendsAll(nil, batch(3, 3), batch(7)),
		sendsAll(away()),
		sendsAll(end, batch(9, 6, 7, 8, 9)),
	}}
	got, err := collect(t, l, till.FromNow())

	if want := []uint64{1, 2, 3, 8, 9}; !slices.Equal(got, want) {
		t.Errorf("got the events %v, want %v", got, want)
	}
	if !errors.Is(err, till.Unauthenticated) {
		t.Errorf("the events ended with %v", err)
	}
	want := []string{`{"from":"LOG_POSITION_NOW"}`, `{"after":"0"}`, `{"after":"3"}`, `{"after":"7"}`, `{"after":"7"}`}
	if starts := l.starts(t); !slices.Equal(starts, want) {
		t.Errorf("the attempts began at %v, want %v", starts, want)
	}
}

func TestEventsOfAllUsersContinueAtTheCursor(t *testing.T) {
	end := refusal(t, codes.PermissionDenied, till.PermissionDenied)
	first := batch(0, 5, 1)
	first.NextCursor = "two"
	heartbeat := batch(0)
	heartbeat.NextCursor = "three"
	l := &eventLog{answers: []func(eventStream) error{sendsAll(away(), first, heartbeat), sendsAll(end)}}
	got, _ := collect(t, l, till.AfterCursor("one"))

	if want := []uint64{5, 1}; !slices.Equal(got, want) {
		t.Errorf("got the events %v, want %v", got, want)
	}
	if starts := l.starts(t); !slices.Equal(starts, []string{`{"cursor":"one"}`, `{"cursor":"three"}`}) {
		t.Errorf("the attempts began at %v", starts)
	}
	if !l.requests[0].AllUsers || !l.requests[1].AllUsers {
		t.Error("an attempt was not for all users")
	}
}

func TestEventsBeginWhereTheyShall(t *testing.T) {
	now := tillv1.LogPosition_LOG_POSITION_NOW
	filter := &tillv1.EventFilter{Types: []string{"invoice.paid"}, MetadataType: proto.String("shop")}
	for _, test := range []struct {
		options []till.EventsOption
		want    *tillv1.WatchEventsRequest
	}{
		{nil, &tillv1.WatchEventsRequest{Start: &tillv1.WatchEventsRequest_From{From: now}}},
		{
			[]till.EventsOption{till.FromBeginning()},
			&tillv1.WatchEventsRequest{Start: &tillv1.WatchEventsRequest_From{From: tillv1.LogPosition_LOG_POSITION_BEGINNING}},
		},
		{[]till.EventsOption{till.After(0)}, &tillv1.WatchEventsRequest{Start: &tillv1.WatchEventsRequest_After{}}},
		{
			[]till.EventsOption{till.AllUsers(), till.EventTypes("invoice.paid"), till.MetadataType("shop")},
			&tillv1.WatchEventsRequest{Start: &tillv1.WatchEventsRequest_From{From: now}, AllUsers: true, Filter: filter},
		},
	} {
		l := &eventLog{answers: []func(eventStream) error{sendsAll(refusal(t, codes.NotFound, till.NotFound))}}
		collect(t, l, test.options...)
		if got := l.requests[0]; !proto.Equal(got, test.want) {
			t.Errorf("the request was %v, want %v", got, test.want)
		}
	}
}

func TestEventsEndWithErrorsThatWaitingDoesNotCure(t *testing.T) {
	gone := &errdetails.ErrorInfo{Domain: "till", Reason: "EVENTS_GONE", Metadata: map[string]string{
		"code": "E16", "oldest_sequence": "4711",
	}}
	s, err := status.New(codes.OutOfRange, "removed").WithDetails(gone)
	if err != nil {
		t.Fatal(err)
	}
	l := &eventLog{answers: []func(eventStream) error{sendsAll(away(), batch(1, 1)), sendsAll(s.Err())}}
	got, err := collect(t, l, till.After(0))

	var failure *till.Error
	if !errors.Is(err, till.EventsGone) || !errors.As(err, &failure) || failure.OldestSequence != 4711 {
		t.Errorf("the events ended with %v", err)
	}
	if !slices.Equal(got, []uint64{1}) {
		t.Errorf("got the events %v", got)
	}
}

func TestEventsFailLikeACallBeforeTheFirstResponse(t *testing.T) {
	end := refusal(t, codes.InvalidArgument, till.InvalidRequest)
	l := &eventLog{answers: []func(eventStream) error{sendsAll(away()), sendsAll(away()), sendsAll(end)}}
	if _, err := collect(t, l); status.Code(err) != codes.Unavailable || len(l.requests) != 1 {
		t.Errorf("%d attempts ended with %v", len(l.requests), err)
	}
	if _, err := collect(t, l, till.WaitForReady()); !errors.Is(err, till.InvalidRequest) {
		t.Errorf("the events ended with %v", err)
	}
}

func TestEventsReportTheirConnection(t *testing.T) {
	end := refusal(t, codes.NotFound, till.NotFound)
	l := &eventLog{answers: []func(eventStream) error{sendsAll(away(), batch(0)), sendsAll(away()), sendsAll(end, batch(0))}}
	var got []till.Connection
	collect(t, l, till.OnConnection(func(c till.Connection) {
		c.Err = nil
		got = append(got, c)
	}))
	if want := []till.Connection{{Lost: true, Attempt: 1}, {Lost: true, Attempt: 2}, {Attempt: 2}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestEventsOfTextThatIsNotUTF8(t *testing.T) {
	for _, option := range []till.EventsOption{till.EventTypes("\xff"), till.MetadataType("\xff"), till.AfterCursor("\xff")} {
		if _, err := collect(t, &eventLog{}, till.WaitForReady(), option); status.Code(err) != codes.InvalidArgument {
			t.Errorf("the events ended with %v", err)
		}
	}
}

func TestLeavingTheLoopEndsTheEventsAtTill(t *testing.T) {
	ended := make(chan struct{})
	l := &eventLog{answers: []func(eventStream) error{func(to eventStream) error {
		defer close(ended)
		if err := to.Send(batch(2, 1, 2)); err != nil {
			return err
		}
		<-to.Context().Done()
		return nil
	}}}
	for range serve(t, l).Events(context.Background()) {
		break
	}
	<-ended
}
