// Command first_invoice creates an invoice, prints its payment request, and watches it until it is paid:
//
//	go run ./examples/first_invoice [HOST:PORT]
//
// TILL_KEY is the key, if Till has keys.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"google.golang.org/protobuf/proto"

	"example.com/lightning-till/clients/go/till"
	tillv1 "example.com/lightning-till/clients/go/till/v1"
)

func main() {
	address := "127.0.0.1:50051"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	client, err := till.NewClient(address, till.WithKey(os.Getenv("TILL_KEY")))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx := context.Background()

	created, err := client.Invoices.CreateInvoice(ctx, &tillv1.CreateInvoiceRequest{
		AmountMsat:  proto.Uint64(5000),
		Description: proto.String("a coffee"),
		Metadata:    `{"type": "shop"}`,
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
