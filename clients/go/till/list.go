package till

import (
	"context"
	"io"
	"iter"
	"time"

	"google.golang.org/protobuf/proto"

	tillv1 "example.com/lightning-till/clients/go/till/v1"
)

// retriesOfPage is for how long a page without a deadline is attempted.
const retriesOfPage = 30 * time.Second

// ListOption configures a [Client.List].
type ListOption func(*list)

// PageTimeout is the deadline of each page, with all attempts at it. The deadline of the context covers the whole list,
// and the time that the caller takes.
func PageTimeout(timeout time.Duration) ListOption {
	return func(l *list) { l.timeout = timeout }
}

// List yields all matching invoices, and fetches a page when the loop needs one.
//
//	for invoice, err := range client.List(ctx, &tillv1.ListInvoicesRequest{Filter: filter}) {
//		if err != nil {
//			return err
//		}
//		show(invoice)
//	}
//
// A list may begin at a page token; client.Invoices.ListInvoices returns a single page. A list whose connection is lost
// after its first page fetches the page again, with the pauses of a watch, until the deadline of the page or of ctx, or
// for 30 s if there is none. Any other error is yielded once, as the last value. Each range is a list of its own.
func (c *Client) List(ctx context.Context, request *tillv1.ListInvoicesRequest, opts ...ListOption) iter.Seq2[*tillv1.Invoice, error] {
	return func(yield func(*tillv1.Invoice, error) bool) {
		// Not proto.Clone, whose copy of nil cannot be changed.
		l := &list{client: c, next: &tillv1.ListInvoicesRequest{}}
		proto.Merge(l.next, request)
		for _, option := range opts {
			option(l)
		}
		for isFirst := true; isFirst || l.next.PageToken != ""; isFirst = false {
			page, err := l.page(ctx, !isFirst)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, invoice := range page.GetInvoices() {
				if !yield(invoice, nil) {
					return
				}
			}
			l.next.PageToken = page.GetNextPageToken()
		}
	}
}

// list is one list, over all its pages.
type list struct {
	client  *Client
	next    *tillv1.ListInvoicesRequest
	timeout time.Duration
}

// page fetches the next page.
func (l *list) page(ctx context.Context, reconnects bool) (*tillv1.ListInvoicesResponse, error) {
	if l.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.timeout)
		defer cancel()
	}
	a := newAttempts(l.client, "list")
	a.reconnects = reconnects
	if _, hasDeadline := ctx.Deadline(); !hasDeadline {
		a.until = time.Now().Add(retriesOfPage)
	}
	for {
		page, err := l.client.Invoices.ListInvoices(ctx, l.next)
		if err == nil {
			return page, nil
		}
		if err := a.pauseAfter(ctx, err); err != nil {
			return nil, err
		}
	}
}

// Export yields all matching invoices as parts of a CSV file: whole lines, the header first.
//
//	for part, err := range client.Export(ctx, &tillv1.ExportInvoicesRequest{TimeZone: "Europe/Rome"}) {
//		if err != nil {
//			return err
//		}
//		if _, err := io.WriteString(file, part.Csv); err != nil {
//			return err
//		}
//	}
//
// The file is complete only if the loop ends without an error, which may come after any number of parts. Each range is
// an export of its own; leaving the loop ends it at Till too.
func (c *Client) Export(ctx context.Context, request *tillv1.ExportInvoicesRequest) iter.Seq2[*tillv1.ExportInvoicesResponse, error] {
	return func(yield func(*tillv1.ExportInvoicesResponse, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := c.Invoices.ExportInvoices(ctx, request)
		if err != nil {
			yield(nil, err)
			return
		}
		for {
			part, err := stream.Recv()
			// Not errors.Is: an error that wraps io.EOF is not the end of the file.
			if err == io.EOF || !yield(part, err) || err != nil {
				return
			}
		}
	}
}
