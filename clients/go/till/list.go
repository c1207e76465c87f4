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

// ListOption configures a [Client.List] or [Client.Deliveries].
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
	// Not proto.Clone, whose copy of nil cannot be changed.
	first := &tillv1.ListInvoicesRequest{}
	proto.Merge(first, request)
	return eachItem(ctx, c, opts, first.PageToken, func(ctx context.Context, token string) ([]*tillv1.Invoice, string, error) {
		request := proto.CloneOf(first)
		request.PageToken = token
		page, err := c.Invoices.ListInvoices(ctx, request)
		return page.GetInvoices(), page.GetNextPageToken(), err
	})
}

// eachItem yields the items of all pages from a token on. fetch returns the items of a page, and the token of the next.
func eachItem[Item any](
	ctx context.Context, c *Client, opts []ListOption, token string,
	fetch func(ctx context.Context, token string) ([]Item, string, error),
) iter.Seq2[Item, error] {
	l := &list{client: c}
	for _, option := range opts {
		option(l)
	}
	return func(yield func(Item, error) bool) {
		for token, isFirst := token, true; isFirst || token != ""; isFirst = false {
			var items []Item
			var next string
			err := l.page(ctx, !isFirst, func(ctx context.Context) (err error) {
				items, next, err = fetch(ctx, token)
				return err
			})
			if err != nil {
				var none Item
				yield(none, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			token = next
		}
	}
}

// list is one list, over all its pages.
type list struct {
	client  *Client
	timeout time.Duration
}

// page fetches a page, also in further attempts.
func (l *list) page(ctx context.Context, reconnects bool, fetch func(context.Context) error) error {
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
		err := fetch(ctx)
		if err == nil {
			return nil
		}
		if err := a.pauseAfter(ctx, err); err != nil {
			return err
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
