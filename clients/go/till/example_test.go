package till_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"example.com/lightning-till/clients/go/till"
	tillv1 "example.com/lightning-till/clients/go/till/v1"
)

func Example() {
	client, err := till.NewClient("127.0.0.1:50051")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx := context.Background()

	created, err := client.Invoices.CreateInvoice(ctx, &tillv1.CreateInvoiceRequest{
		AmountMsat: proto.Uint64(5000),
		Metadata:   `{"type": "shop"}`,
		Label:      proto.String("order-17"),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(created.Invoice.Bolt11)
	for invoice, err := range client.Watch(ctx, created.Invoice.InvoiceId) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(invoice.Status)
	}
}

// A key, and TLS with an authority of one's own.
func ExampleNewClient() {
	authority, err := credentials.NewClientTLSFromFile("ca.pem", "")
	if err != nil {
		log.Fatal(err)
	}
	client, err := till.NewClient("till.example:50051",
		till.WithTransportCredentials(authority),
		till.WithKey(os.Getenv("TILL_KEY")),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
}

// A key that rotates: the file is read for each call.
func ExampleWithKeyFunc() {
	client, err := till.NewClient("127.0.0.1:50051", till.WithKeyFunc(func(context.Context) (string, error) {
		key, err := os.ReadFile("/run/secrets/till-key")
		return string(key), err
	}))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
}

func ExampleError() {
	var client *till.Client
	var ctx context.Context

	_, err := client.Invoices.LookupInvoice(ctx, &tillv1.LookupInvoiceRequest{
		Key: &tillv1.LookupInvoiceRequest_Label{Label: "order-17"},
	})
	var failure *till.Error
	switch {
	case errors.Is(err, till.NotFound):
		fmt.Println("no such order")
	case errors.Is(err, context.DeadlineExceeded):
		fmt.Println("the deadline of ctx has passed")
	case errors.As(err, &failure) && failure.RetryAfter > 0:
		time.Sleep(failure.RetryAfter)
	}
}

func ExampleOnConnection() {
	var client *till.Client
	var ctx context.Context

	show := till.OnConnection(func(c till.Connection) {
		if c.Lost {
			fmt.Printf("reconnecting, attempt %d: %v\n", c.Attempt, c.Err)
		} else {
			fmt.Println("connected")
		}
	})
	for invoice, err := range client.Watch(ctx, "INVOICE_ID", show) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(invoice.Status)
	}
}

func ExampleClient_Events() {
	var client *till.Client
	var ctx context.Context
	var load func() (last uint64, found bool)
	var handle func(invoice *tillv1.Invoice, sequence uint64) error

	var failure *till.Error
	start := till.FromBeginning()
	if last, found := load(); found {
		start = till.After(last)
	}
	for event, err := range client.Events(ctx, start, till.EventTypes("invoice.paid", "invoice.expired")) {
		if errors.As(err, &failure) && failure.Code == till.EventsGone {
			log.Fatalf("list your invoices, then continue after event %d", failure.OldestSequence-1)
		} else if err != nil {
			log.Fatal(err)
		}
		if err := handle(event.GetInvoice(), event.Sequence); err != nil { // stores both in one transaction
			log.Fatal(err)
		}
	}
}

func ExampleWebhooks() {
	var client *till.Client
	var ctx context.Context
	var store func(id, secret string) error

	created, err := client.Webhooks.CreateWebhook(ctx, &tillv1.CreateWebhookRequest{
		Url:   "https://shop.example/till",
		Types: []string{"invoice.paid", "invoice.expired"},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := store(created.Webhook.Id, created.Secret); err != nil {
		log.Fatal(err)
	}
	tested, err := client.Webhooks.TestWebhook(ctx, &tillv1.TestWebhookRequest{Id: created.Webhook.Id})
	if err != nil {
		log.Fatal(err)
	}
	if tested.Attempt.Error != "" {
		log.Print("the receiver does not work yet: ", tested.Attempt.Error)
	}
}

func ExampleClient_Deliveries() {
	var client *till.Client
	var ctx context.Context

	dead := &tillv1.ListDeliveriesRequest{Id: "WEBHOOK_ID", State: tillv1.DeliveryState_DELIVERY_STATE_DEAD}
	for delivery, err := range client.Deliveries(ctx, dead) {
		if err != nil {
			log.Fatal(err)
		}
		again := &tillv1.RedeliverEventRequest{Id: "WEBHOOK_ID", EventId: delivery.EventId}
		if _, err := client.Webhooks.RedeliverEvent(ctx, again); err != nil {
			log.Fatal(err)
		}
	}
}

func ExampleClient_List() {
	var client *till.Client
	var ctx context.Context
	zone, err := time.LoadLocation("Europe/Rome")
	if err != nil {
		log.Fatal(err)
	}

	november := &tillv1.InvoiceFilter{
		Type:     proto.String("shop"),
		PaidFrom: timestamppb.New(time.Date(2026, time.November, 1, 0, 0, 0, 0, zone)),
		PaidTo:   timestamppb.New(time.Date(2026, time.December, 1, 0, 0, 0, 0, zone)),
	}
	for invoice, err := range client.List(ctx, &tillv1.ListInvoicesRequest{Filter: november}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(invoice.GetLabel(), invoice.Payment.AmountReceivedMsat, invoice.Payment.GetPaymentPreimage())
	}
}

func ExampleClient_Export() {
	var client *till.Client
	var ctx context.Context
	var november *tillv1.InvoiceFilter

	file, err := os.Create("november.csv")
	if err != nil {
		log.Fatal(err)
	}
	for part, err := range client.Export(ctx, &tillv1.ExportInvoicesRequest{Filter: november, TimeZone: "Europe/Rome"}) {
		if err != nil {
			log.Fatal(err)
		}
		if _, err := file.WriteString(part.Csv); err != nil {
			log.Fatal(err)
		}
	}
	if err := file.Close(); err != nil {
		log.Fatal(err)
	}
}

func ExampleClient_report() {
	var client *till.Client
	var ctx context.Context
	var november *tillv1.InvoiceFilter

	report, err := client.Invoices.GetReport(ctx, &tillv1.GetReportRequest{
		PaidFrom: november.PaidFrom,
		PaidTo:   november.PaidTo,
		TimeZone: "Europe/Rome",
		By:       tillv1.ReportGrouping_REPORT_GROUPING_DAY,
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, day := range report.Groups {
		fmt.Println(day.Name, day.Count, day.AmountReceivedMsat)
	}
}

func ExampleClient_cancel() {
	var client *till.Client
	var ctx context.Context

	_, err := client.Invoices.CancelInvoice(ctx, &tillv1.CancelInvoiceRequest{InvoiceId: "INVOICE_ID"})
	if errors.Is(err, till.Conflict) {
		fmt.Println("too late:", err) // the message says whether the invoice is paid or expired
	}
}

func ExampleClient_create() {
	var client *till.Client
	var ctx context.Context

	created, err := client.Invoices.CreateInvoice(ctx, &tillv1.CreateInvoiceRequest{
		AmountMsat:            proto.Uint64(5000),
		Metadata:              `{"type": "shop"}`,
		Description:           proto.String("a coffee"),
		DescriptionHashOnly:   true,
		ExposePrivateChannels: &tillv1.ExposePrivateChannels{ShortChannelIds: []string{"123456x7x0"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	if created.Payability.Status != tillv1.PayabilityStatus_PAYABILITY_STATUS_OK {
		log.Print(created.Payability.Detail)
	}
}
