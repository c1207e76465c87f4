package till

import (
	"context"
	"io"
	"iter"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	tillv1 "example.com/lightning-till/clients/go/till/v1"
)

// List yields all matching invoices, and fetches a page when the loop needs one.
//
//	for invoice, err := range client.List(ctx, &tillv1.ListInvoicesRequest{Filter: filter}) {
//		if err != nil {
//			return err
//		}
//		show(invoice)
//	}
//
// A list may begin at a page token; client.Invoices.ListInvoices returns a single page. The error of a page is yielded
// once, as the last value. Each range is a list of its own. The options are those of each page.
func (c *Client) List(ctx context.Context, request *tillv1.ListInvoicesRequest, opts ...grpc.CallOption) iter.Seq2[*tillv1.Invoice, error] {
	return func(yield func(*tillv1.Invoice, error) bool) {
		// Not proto.Clone, whose copy of nil cannot be changed.
		next := &tillv1.ListInvoicesRequest{}
		proto.Merge(next, request)
		for {
			page, err := c.Invoices.ListInvoices(ctx, next, opts...)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, invoice := range page.GetInvoices() {
				if !yield(invoice, nil) {
					return
				}
			}
			if next.PageToken = page.GetNextPageToken(); next.PageToken == "" {
				return
			}
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
func (c *Client) Export(ctx context.Context, request *tillv1.ExportInvoicesRequest, opts ...grpc.CallOption) iter.Seq2[*tillv1.ExportInvoicesResponse, error] {
	return func(yield func(*tillv1.ExportInvoicesResponse, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := c.Invoices.ExportInvoices(ctx, request, opts...)
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
