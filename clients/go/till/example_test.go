package till_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"

	"lightning-till-client/till"
	tillv1 "lightning-till-client/till/v1"
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

// With a key, over TLS, trusting an authority of one's own.
func ExampleNewClient() {
	authority, err := credentials.NewClientTLSFromFile("ca.pem", "")
	if err != nil {
		log.Fatal(err)
	}
	client, err := till.NewClient("till.example:50051",
		grpc.WithTransportCredentials(authority),
		till.WithKey(os.Getenv("TILL_KEY")),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
}

func ExampleCode() {
	var client *till.Client
	var ctx context.Context

	_, err := client.Invoices.LookupInvoice(ctx, &tillv1.LookupInvoiceRequest{
		Key: &tillv1.LookupInvoiceRequest_Label{Label: "order-17"},
	})
	if till.Code(err) == "E2" {
		fmt.Println("there is no such order")
	}
}

func ExampleRetryAfter() {
	var client *till.Client
	var ctx context.Context
	var order *tillv1.CreateInvoiceRequest

	created, err := client.Invoices.CreateInvoice(ctx, order)
	if wait, ok := till.RetryAfter(err); ok {
		time.Sleep(wait)
		created, err = client.Invoices.CreateInvoice(ctx, order)
	}
	fmt.Println(created, err)
}
