package till_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"example.com/lightning-till/clients/go/till"
)

func TestWatchFailsOnce(t *testing.T) {
	for _, failure := range []error{
		refusal(t, codes.Internal, till.Internal),
		status.Error(codes.NotFound, ""),
		status.Error(codes.Unauthenticated, ""),
		status.Error(codes.InvalidArgument, ""),
		status.Error(codes.ResourceExhausted, ""),
	} {
		s := &server{answers: []func(stream) error{sends(unpaid), fails(failure)}}
		var errs []error
		for _, err := range serve(t, s).Watch(context.Background(), "id") {
			if err != nil {
				errs = append(errs, err)
			}
		}
		if len(errs) != 1 || status.Code(errs[0]) != status.Code(failure) {
			t.Errorf("the watch yielded %v, want %v once", errs, failure)
		}
	}
}

func TestWatchOfAnIDThatIsNotUTF8(t *testing.T) {
	for _, err := range serve(t, &server{}).Watch(context.Background(), "\xff") {
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("the watch yielded %v", err)
		}
	}
}

func TestLeavingTheLoopEndsTheWatchAtTill(t *testing.T) {
	ended := make(chan struct{})
	s := &server{answers: []func(stream) error{func(to stream) error {
		defer close(ended)
		if err := sends(unpaid)(to); err != nil {
			return err
		}
		<-to.Context().Done()
		return nil
	}}}
	for range serve(t, s).Watch(context.Background(), "id") {
		break
	}
	<-ended
}

func TestClosingTheConnectionEndsTheWatch(t *testing.T) {
	conn := connect(t, &server{answers: []func(stream) error{func(to stream) error {
		if err := sends(unpaid)(to); err != nil {
			return err
		}
		<-to.Context().Done()
		return nil
	}}})
	client, err := till.NewClientFromConn(conn)
	if err != nil {
		t.Fatal(err)
	}
	var last error
	for _, err := range client.Watch(context.Background(), "id") {
		if last = err; err == nil {
			conn.Close()
		}
	}
	if last == nil {
		t.Error("the watch ended without an error")
	}
}

func TestWatchEndsWithTheErrorOfItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	away := fails(status.Error(codes.Unavailable, "the last loss"))
	client := serve(t, &server{answers: []func(stream) error{sends(unpaid), away}})
	report := till.OnConnection(func(c till.Connection) {
		if c.Attempt == 2 {
			cancel()
		}
	})
	var last error
	for _, last = range client.Watch(ctx, "id", report) {
	}
	if !errors.Is(last, context.Canceled) || status.Code(last) != codes.Canceled {
		t.Errorf("the watch ended with %v", last)
	}

	ctx, cancel = context.WithTimeoutCause(context.Background(), 0, fmt.Errorf("a cause"))
	defer cancel()
	for _, last = range client.Watch(ctx, "id") {
	}
	if !errors.Is(last, context.DeadlineExceeded) || status.Code(last) != codes.DeadlineExceeded {
		t.Errorf("the watch ended with %v", last)
	}
}
