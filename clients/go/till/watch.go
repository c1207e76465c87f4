package till

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	tillv1 "example.com/lightning-till/clients/go/till/v1"
)

// The pauses of a watch double from the first to the longest.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 1500 * time.Millisecond
)

// WatchOption configures a [Client.Watch].
type WatchOption func(*watch)

// WaitForReady reconnects before the first state too.
func WaitForReady() WatchOption {
	return func(w *watch) { w.reconnects = true }
}

// OnConnection calls a function when the connection of a watch is lost, after each attempt that fails, and when the
// connection is back. The function runs in the goroutine of the watch.
func OnConnection(report func(Connection)) WatchOption {
	return func(w *watch) { w.report = report }
}

// Connection is a change of a watch's connection.
type Connection struct {
	// Lost reports that the connection was lost, or that an attempt to reconnect failed. False: the connection is back.
	Lost bool
	// Attempt is the number of losses in a row, from 1.
	Attempt int
	// Err is the reason of the loss. nil if the connection is back.
	Err error
}

// Watch yields the state of an invoice, then each change, until the invoice is paid, expired or canceled.
//
//	for invoice, err := range client.Watch(ctx, id) {
//		if err != nil {
//			return err
//		}
//		show(invoice)
//	}
//
// Before the first state a watch fails like a call, unless it has the option [WaitForReady]. After it, a watch whose
// connection is lost reconnects until ctx ends, and misses no payment. It yields no state twice in a row. An error that
// waiting does not cure is yielded once, as the last value. Each range is a watch of its own; leaving the loop ends it.
func (c *Client) Watch(ctx context.Context, invoiceID string, opts ...WatchOption) iter.Seq2[*tillv1.Invoice, error] {
	return func(yield func(*tillv1.Invoice, error) bool) {
		w := &watch{
			client:  c,
			request: &tillv1.WatchInvoiceRequest{InvoiceId: invoiceID},
			yield:   func(state *tillv1.Invoice) bool { return yield(state, nil) },
			report:  func(Connection) {},
			pause:   firstPause,
		}
		for _, option := range opts {
			option(w)
		}
		if err := w.run(ctx); err != nil {
			yield(nil, err)
		}
	}
}

// watch is one watch, over all its attempts.
type watch struct {
	client  *Client
	request *tillv1.WatchInvoiceRequest
	yield   func(*tillv1.Invoice) bool
	report  func(Connection)

	// reconnects is true after the first state, or from the start.
	reconnects bool
	last       *tillv1.Invoice
	pause      time.Duration
	// losses in a row, and the last of them.
	losses   int
	lastLoss *Error
}

// run yields states until one is final, or the caller leaves the loop.
func (w *watch) run(ctx context.Context) error {
	if !utf8.ValidString(w.request.InvoiceId) {
		// gRPC's error would look like a lost connection.
		return newError(status.New(codes.InvalidArgument, "the invoice ID is not valid UTF-8"))
	}
	for {
		err := w.attempt(ctx)
		if err == nil {
			return nil
		}
		pause, err := w.pauseAfter(ctx, err)
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return w.ended(ctx.Err())
		case <-time.After(pause):
		}
	}
}

// attempt yields the states of one stream. It returns nil if the watch is done.
func (w *watch) attempt(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := w.client.Invoices.WatchInvoice(ctx, w.request)
	if err != nil {
		return err
	}
	for {
		response, err := stream.Recv()
		// Not errors.Is: an error that wraps io.EOF is not the end of the stream.
		if err == io.EOF {
			return newError(status.New(codes.Unavailable, "the watch ended before the invoice was final"))
		} else if err != nil {
			return err
		}
		w.received()
		state := response.GetInvoice()
		if !proto.Equal(state, w.last) && !w.yield(state) || isFinal(state) {
			return nil
		}
		w.last = state
	}
}

// received notes that the connection works.
func (w *watch) received() {
	w.reconnects, w.pause = true, firstPause
	if w.losses > 0 {
		w.report(Connection{Attempt: w.losses})
		w.losses, w.lastLoss = 0, nil
	}
}

// pauseAfter returns how long to wait before the next attempt, or the error that ends the watch.
func (w *watch) pauseAfter(ctx context.Context, err error) (time.Duration, error) {
	var loss *Error
	switch {
	case ctx.Err() != nil:
		return 0, w.ended(ctx.Err())
	case errors.Is(err, context.DeadlineExceeded):
		return 0, w.ended(context.DeadlineExceeded)
	case !errors.As(err, &loss) || !w.reconnects || !loss.isTemporary() || w.client.conn.GetState() == connectivity.Shutdown:
		return 0, err
	}
	w.losses++
	w.lastLoss = loss
	w.report(Connection{Lost: true, Attempt: w.losses, Err: loss})
	// Jitter keeps watches that were lost together from coming back together.
	pause := jitter(w.pause, 0.5, 1)
	w.pause = min(2*w.pause, longestPause)
	if loss.RetryAfter > 0 {
		pause = jitter(loss.RetryAfter, 1, 1.5)
	}
	return pause, nil
}

// ended returns the error of a watch whose context has ended.
func (w *watch) ended(own error) error {
	s := status.FromContextError(own)
	if s.Code() != codes.DeadlineExceeded || w.lastLoss == nil {
		return newError(s, own)
	}
	message := fmt.Sprintf("the watch has reached its deadline; its connection was lost before: %s", w.lastLoss.Message)
	return newError(status.New(codes.DeadlineExceeded, message), own, w.lastLoss)
}

// isTemporary reports whether a watch that ended so may succeed later.
func (e *Error) isTemporary() bool {
	switch e.status.Code() {
	case codes.Unavailable:
		return true
	case codes.Internal, codes.Unknown, codes.Canceled:
		// Behind a proxy, a connection that was reset looks so. Till's own errors have a code.
		return e.Code == ""
	}
	return e.Code != "" && e.RetryAfter > 0
}

func isFinal(invoice *tillv1.Invoice) bool {
	switch invoice.GetStatus() {
	case tillv1.InvoiceStatus_INVOICE_STATUS_PAID,
		tillv1.InvoiceStatus_INVOICE_STATUS_EXPIRED,
		tillv1.InvoiceStatus_INVOICE_STATUS_CANCELED:
		return true
	}
	return false
}

func jitter(pause time.Duration, low, high float64) time.Duration {
	return time.Duration(float64(pause) * (low + (high-low)*rand.Float64()))
}
