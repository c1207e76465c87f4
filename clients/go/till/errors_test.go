package till_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"example.com/lightning-till/clients/go/till"
	tillv1 "example.com/lightning-till/clients/go/till/v1"
)

func TestErrorOfTill(t *testing.T) {
	retry := &errdetails.RetryInfo{RetryDelay: durationpb.New(1500 * time.Millisecond)}
	client := serve(t, &server{answers: []func(stream) error{fails(refusal(t, codes.ResourceExhausted, till.TooMany, retry))}})
	var err error
	for _, err = range client.Watch(context.Background(), "id") {
	}

	var failure *till.Error
	if !errors.As(err, &failure) {
		t.Fatalf("%T is not a *till.Error", err)
	}
	if failure.Code != "E7" || failure.Reason != "REASON" || failure.Message != "refused" || failure.RetryAfter != 1500*time.Millisecond {
		t.Errorf("the error is %#v", failure)
	}
	if !errors.Is(err, till.TooMany) || errors.Is(err, till.NotFound) || till.CodeOf(err) != till.TooMany {
		t.Error("the error does not match its code only")
	}
	if err.Error() != "till: E7: refused" {
		t.Errorf("the text is %q", err)
	}
	wrapped, ok := status.FromError(fmt.Errorf("while watching: %w", err))
	if !ok || wrapped.Code() != codes.ResourceExhausted || len(wrapped.Details()) != 2 {
		t.Errorf("the status is %v", wrapped)
	}
}

func TestErrorOfTheContext(t *testing.T) {
	client := serve(t, &server{})
	canceled, cancel := context.WithCancel(context.Background())
	late, cancelLate := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancelLate()
	time.AfterFunc(20*time.Millisecond, cancel)

	_, err := client.Invoices.GetInfo(canceled, &tillv1.GetInfoRequest{})
	if !errors.Is(err, context.Canceled) || status.Code(err) != codes.Canceled {
		t.Errorf("the call failed with %v", err)
	}
	_, err = client.Invoices.GetInfo(late, &tillv1.GetInfoRequest{})
	if !errors.Is(err, context.DeadlineExceeded) || status.Code(err) != codes.DeadlineExceeded || till.CodeOf(err) != "" {
		t.Errorf("the call failed with %v", err)
	}
}

func TestErrorThatIsNotTheClients(t *testing.T) {
	if code := till.CodeOf(errors.New("E2")); code != "" {
		t.Errorf("the code is %q", code)
	}
	if errors.Is(&till.Error{}, till.Code("")) {
		t.Error("an error without a code matches the empty code")
	}
}
