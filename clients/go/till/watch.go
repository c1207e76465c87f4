package till

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	tillv1 "lightning-till-client/till/v1"
)

// Watch follows an invoice: its state now, then each change, until it is paid or expired.
//
//	for invoice, err := range client.Watch(ctx, id) {
//		if err != nil {
//			return err
//		}
//		show(invoice)
//	}
//
// When the connection is lost it comes back by itself, for as long as ctx allows, and gives no state twice in a row.
// Any other error it gives once, as the last thing. Each range over it is a watch of its own, which ends when the loop
// is left.
func (c *Client) Watch(ctx context.Context, invoiceID string) iter.Seq2[*tillv1.Invoice, error] {
	return func(yield func(*tillv1.Invoice, error) bool) {
		if err := c.watch(ctx, invoiceID, func(state *tillv1.Invoice) bool { return yield(state, nil) }); err != nil {
			yield(nil, err)
		}
	}
}

// watch tells each state until one is final, or tell is false.
func (c *Client) watch(ctx context.Context, invoiceID string, tell func(*tillv1.Invoice) bool) error {
	if !utf8.ValidString(invoiceID) {
		// gRPC's error would look like a connection that was lost.
		return status.Error(codes.InvalidArgument, "an invoice ID must be UTF-8")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var last *tillv1.Invoice
	pause := firstPause
	for {
		stream, err := c.Invoices.WatchInvoice(ctx, &tillv1.WatchInvoiceRequest{InvoiceId: invoiceID})
		for err == nil {
			var response *tillv1.WatchInvoiceResponse
			if response, err = stream.Recv(); err != nil {
				break
			}
			state := response.GetInvoice()
			if !proto.Equal(state, last) && !tell(state) || isFinal(state) {
				return nil
			}
			last, pause = state, firstPause
		}
		if !c.isLost(ctx, err) {
			return err
		}
		select {
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, longestPause)
	}
}

func isFinal(invoice *tillv1.Invoice) bool {
	switch invoice.GetStatus() {
	case tillv1.InvoiceStatus_INVOICE_STATUS_PAID, tillv1.InvoiceStatus_INVOICE_STATUS_EXPIRED:
		return true
	}
	return false
}

// isLost tells whether a watch that ended so may succeed when it is begun again.
func (c *Client) isLost(ctx context.Context, err error) bool {
	if errors.Is(err, io.EOF) {
		return true
	}
	switch status.Code(err) {
	case codes.Unavailable:
		return true
	case codes.Canceled:
		// Neither by the caller nor by Close, but by Till or a proxy.
		return ctx.Err() == nil && c.conn.GetState() != connectivity.Shutdown && Code(err) == ""
	case codes.Internal, codes.Unknown:
		// So looks a connection that was reset behind a proxy. Till's own errors have a code.
		return Code(err) == ""
	}
	return false
}
