// Reads an invoice and creates one for any amount, by a client that was generated from openapi.json: main URL INVOICEID.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"

	till "generated"
)

func main() {
	configuration := till.NewConfiguration()
	configuration.Servers = till.ServerConfigurations{{URL: os.Args[1]}}
	invoices, ctx := till.NewAPIClient(configuration).InvoicesAPI, context.Background()
	read, _, err := invoices.GetInvoice(ctx, os.Args[2]).Execute()
	if err != nil {
		log.Fatal(err)
	}
	anyAmount := "any"
	order := till.NewCreateInvoice(till.CreateInvoiceMsat{String: &anyAmount}, read.Metadata)
	created, _, err := invoices.CreateInvoice(ctx).CreateInvoice(*order).Execute()
	if err != nil {
		log.Fatal(err)
	}
	_ = json.NewEncoder(os.Stdout).Encode(map[string]any{
		"status": read.Status, "msatoshi": read.Msatoshi, "metadata": read.Metadata, "created_at": read.CreatedAt.Unix(),
		"is_any": created.Msatoshi.Get() == nil, "any_metadata": created.Metadata,
	})
}
