package till_test

import (
	"context"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"lightning-till-client/till"
	tillv1 "lightning-till-client/till/v1"
)

// What the suite in clients/conformance cannot see: when a watch tries again, and when it does not.

const (
	unpaid = tillv1.InvoiceStatus_INVOICE_STATUS_UNPAID
	paid   = tillv1.InvoiceStatus_INVOICE_STATUS_PAID
)

// watched is a Till that answers each watch with the next of its answers, and remembers when.
type watched struct {
	tillv1.UnimplementedInvoiceServiceServer
	answers []func(stream) error
	asked   []time.Time
}

type stream = grpc.ServerStreamingServer[tillv1.WatchInvoiceResponse]

func (w *watched) WatchInvoice(_ *tillv1.WatchInvoiceRequest, s stream) error {
	w.asked = append(w.asked, time.Now())
	return w.answers[len(w.asked)-1](s)
}

func fails(err error) func(stream) error {
	return func(stream) error { return err }
}

func tells(is tillv1.InvoiceStatus) func(stream) error {
	return func(s stream) error {
		return s.Send(&tillv1.WatchInvoiceResponse{Invoice: &tillv1.Invoice{Status: is}})
	}
}

// served runs a Till in memory for as long as a test, and returns a client of it.
func served(t *testing.T, w *watched) *till.Client {
	listener := bufconn.Listen(1 << 16)
	server := grpc.NewServer()
	tillv1.RegisterInvoiceServiceServer(server, w)
	go server.Serve(listener)
	dial := func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }
	client, err := till.NewClient("passthrough:///in-memory", grpc.WithContextDialer(dial))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		server.Stop()
	})
	return client
}

func TestWatchTriesAgainAfterGrowingPausesAndAtOnceWhenItWasToldSomething(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := fails(status.Error(codes.Unavailable, "away"))
		reset := fails(status.Error(codes.Internal, "reset"))
		w := &watched{answers: []func(stream) error{
			away, reset, away, away, away, away, away, tells(unpaid), tells(unpaid), away, tells(paid),
		}}

		var told []tillv1.InvoiceStatus
		for invoice, err := range served(t, w).Watch(t.Context(), "id") {
			if err != nil {
				t.Fatal(err)
			}
			told = append(told, invoice.Status)
		}

		if want := []tillv1.InvoiceStatus{unpaid, paid}; !slices.Equal(told, want) {
			t.Errorf("told %v, want %v", told, want)
		}
		var pauses []time.Duration
		for i := range w.asked[1:] {
			pauses = append(pauses, w.asked[i+1].Sub(w.asked[i])/time.Millisecond)
		}
		if want := []time.Duration{100, 200, 400, 800, 1600, 2000, 2000, 100, 100, 200}; !slices.Equal(pauses, want) {
			t.Errorf("paused %d ms, want %d", pauses, want)
		}
	})
}

func TestWatchDoesNotTryAgainWhatFailsForGood(t *testing.T) {
	internal, err := status.New(codes.Internal, "").WithDetails(
		&errdetails.ErrorInfo{Domain: "till", Metadata: map[string]string{"code": "E0"}},
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, failure := range []error{
		internal.Err(),
		status.Error(codes.NotFound, ""),
		status.Error(codes.Unauthenticated, ""),
		status.Error(codes.PermissionDenied, ""),
		status.Error(codes.InvalidArgument, ""),
		status.Error(codes.ResourceExhausted, ""),
		status.Error(codes.Unimplemented, ""),
	} {
		w := &watched{answers: []func(stream) error{fails(failure)}}
		var errs []error
		for _, err := range served(t, w).Watch(t.Context(), "id") {
			errs = append(errs, err)
		}
		if len(errs) != 1 || status.Code(errs[0]) != status.Code(failure) {
			t.Errorf("the watch gave %v, want %v once", errs, failure)
		}
	}
}

func TestWatchOfWhatIsNoTextFailsAtOnce(t *testing.T) {
	for _, err := range served(t, &watched{}).Watch(t.Context(), "\xff") {
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("the watch gave %v", err)
		}
	}
}

func TestWatchEndsAtTillWhenItsLoopIsLeft(t *testing.T) {
	ended := make(chan struct{})
	w := &watched{answers: []func(stream) error{func(s stream) error {
		defer close(ended)
		if err := tells(unpaid)(s); err != nil {
			return err
		}
		<-s.Context().Done()
		return nil
	}}}
	for range served(t, w).Watch(t.Context(), "id") {
		break
	}
	<-ended
}
