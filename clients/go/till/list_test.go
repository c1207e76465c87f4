package till_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"example.com/lightning-till/clients/go/till"
	tillv1 "example.com/lightning-till/clients/go/till/v1"
)

// ledger is a Till with three pages of invoices, of which the second is empty, and with an export.
type ledger struct {
	tillv1.UnimplementedInvoiceServiceServer
	// failure is the error of the last page.
	failure error
	export  func(grpc.ServerStreamingServer[tillv1.ExportInvoicesResponse]) error

	requests []*tillv1.ListInvoicesRequest
}

func (l *ledger) ListInvoices(_ context.Context, request *tillv1.ListInvoicesRequest) (*tillv1.ListInvoicesResponse, error) {
	l.requests = append(l.requests, request)
	if l.failure != nil && request.PageToken == "c" {
		return nil, l.failure
	}
	return map[string]*tillv1.ListInvoicesResponse{
		"":  {Invoices: []*tillv1.Invoice{{Id: "1"}, {Id: "2"}}, NextPageToken: "b"},
		"b": {NextPageToken: "c"},
		"c": {Invoices: []*tillv1.Invoice{{Id: "3"}}},
	}[request.PageToken], nil
}

func (l *ledger) ExportInvoices(_ *tillv1.ExportInvoicesRequest, to grpc.ServerStreamingServer[tillv1.ExportInvoicesResponse]) error {
	return l.export(to)
}

func list(t *testing.T, l *ledger, request *tillv1.ListInvoicesRequest) (ids []string, err error) {
	t.Helper()
	for invoice, err := range serve(t, l).List(context.Background(), request) {
		if err != nil {
			return ids, err
		}
		ids = append(ids, invoice.Id)
	}
	return ids, nil
}

func TestListOfAllPages(t *testing.T) {
	l := &ledger{}
	request := &tillv1.ListInvoicesRequest{
		PageSize: 2,
		Filter:   &tillv1.InvoiceFilter{Type: proto.String("shop")},
		Order:    tillv1.InvoiceOrder_INVOICE_ORDER_PAID_ASC,
	}
	before := proto.CloneOf(request)
	ids, err := list(t, l, request)
	if want := []string{"1", "2", "3"}; err != nil || !slices.Equal(ids, want) {
		t.Errorf("the list has %v, %v; want %v", ids, err, want)
	}
	if len(l.requests) != 3 {
		t.Fatalf("there were %d requests", len(l.requests))
	}
	for i, token := range []string{"", "b", "c"} {
		want := proto.CloneOf(before)
		want.PageToken = token
		if !proto.Equal(l.requests[i], want) {
			t.Errorf("request %d was %v, want %v", i, l.requests[i], want)
		}
	}
	if !proto.Equal(request, before) {
		t.Errorf("the list changed its caller's request to %v", request)
	}
}

func TestListFetchesAPageWhenTheLoopNeedsIt(t *testing.T) {
	l := &ledger{}
	for invoice, err := range serve(t, l).List(context.Background(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		if invoice.Id == "2" {
			break
		}
	}
	if len(l.requests) != 1 {
		t.Errorf("the first page took %d requests", len(l.requests))
	}
}

func TestListThatBeginsAtAPage(t *testing.T) {
	ids, err := list(t, &ledger{}, &tillv1.ListInvoicesRequest{PageToken: "b"})
	if err != nil || !slices.Equal(ids, []string{"3"}) {
		t.Errorf("the list has %v, %v", ids, err)
	}
}

func TestListFailsOnce(t *testing.T) {
	client := serve(t, &ledger{failure: status.Error(codes.PermissionDenied, "")})
	var errs []error
	invoices := 0
	for _, err := range client.List(context.Background(), nil) {
		if err != nil {
			errs = append(errs, err)
		} else {
			invoices++
		}
	}
	if invoices != 2 || len(errs) != 1 || status.Code(errs[0]) != codes.PermissionDenied {
		t.Errorf("the list yielded %d invoices and %v", invoices, errs)
	}
}

func export(t *testing.T, send func(grpc.ServerStreamingServer[tillv1.ExportInvoicesResponse]) error) (csv string, errs []error) {
	t.Helper()
	for part, err := range serve(t, &ledger{export: send}).Export(context.Background(), nil) {
		if err != nil {
			errs = append(errs, err)
		}
		csv += part.GetCsv()
	}
	return csv, errs
}

func TestExport(t *testing.T) {
	header := &tillv1.ExportInvoicesResponse{Csv: "id\r\n"}
	line := &tillv1.ExportInvoicesResponse{Csv: "1\r\n", Invoices: 1}
	csv, errs := export(t, func(to grpc.ServerStreamingServer[tillv1.ExportInvoicesResponse]) error {
		return errors.Join(to.Send(header), to.Send(line))
	})
	if csv != "id\r\n1\r\n" || errs != nil {
		t.Errorf("the export was %q, %v", csv, errs)
	}

	csv, errs = export(t, func(to grpc.ServerStreamingServer[tillv1.ExportInvoicesResponse]) error {
		return errors.Join(to.Send(header), refusal(t, codes.Internal, till.Internal))
	})
	if csv != "id\r\n" || len(errs) != 1 || till.CodeOf(errs[0]) != till.Internal {
		t.Errorf("the export that failed was %q, %v", csv, errs)
	}
}

func TestLeavingTheLoopEndsTheExportAtTill(t *testing.T) {
	ended := make(chan struct{})
	l := &ledger{export: func(to grpc.ServerStreamingServer[tillv1.ExportInvoicesResponse]) error {
		to.Send(&tillv1.ExportInvoicesResponse{})
		<-to.Context().Done()
		close(ended)
		return nil
	}}
	for range serve(t, l).Export(context.Background(), nil) {
		break
	}
	<-ended
}
