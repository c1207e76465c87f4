package till

import (
	"context"
	"io"
	"iter"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	tillv1 "example.com/lightning-till/clients/go/till/v1"
)

// WatchOption configures a [Client.Watch], or a [Client.Events].
type WatchOption func(*attempts)

// WaitForReady reconnects before the first state too, or before the first response of Till to events.
func WaitForReady() WatchOption {
	return func(a *attempts) { a.reconnects = true }
}

// OnConnection calls a function when the connection of a watch or of events is lost, after each attempt that fails, and
// when the connection is back. The function runs in the goroutine of the loop.
func OnConnection(report func(Connection)) WatchOption {
	return func(a *attempts) { a.report = report }
}

// Connection is a change of the connection of a watch or of events.
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
			attempts: newAttempts(c, "watch"),
			request:  &tillv1.WatchInvoiceRequest{InvoiceId: invoiceID},
			yield:    func(state *tillv1.Invoice) bool { return yield(state, nil) },
		}
		for _, option := range opts {
			option(w.attempts)
		}
		if err := w.run(ctx); err != nil {
			yield(nil, err)
		}
	}
}

// watch is one watch, over all its attempts.
type watch struct {
	*attempts
	request *tillv1.WatchInvoiceRequest
	yield   func(*tillv1.Invoice) bool
	last    *tillv1.Invoice
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
		if err := w.pauseAfter(ctx, err); err != nil {
			return err
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

func isFinal(invoice *tillv1.Invoice) bool {
	switch invoice.GetStatus() {
	case tillv1.InvoiceStatus_INVOICE_STATUS_PAID,
		tillv1.InvoiceStatus_INVOICE_STATUS_EXPIRED,
		tillv1.InvoiceStatus_INVOICE_STATUS_CANCELED:
		return true
	}
	return false
}
