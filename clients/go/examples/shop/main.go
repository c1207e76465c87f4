// Command shop is a shop: the server creates an invoice for each order, and the payer's browser watches it.
//
//	cd clients/go/examples/shop && go run .
//
// Environment: TILL_ADDRESS, Till's gRPC address; TILL_KEY, the shop's key; TILL_URL, Till's REST address as the
// browser reaches it; PORT.
package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/boombuler/barcode"
	"github.com/boombuler/barcode/qr"

	"example.com/lightning-till/clients/go/till"
	tillv1 "example.com/lightning-till/clients/go/till/v1"
)

// pageFile is relative to this folder, which is the working directory of go run.
const pageFile = "../../../shop/index.html"

// The prices are the server's. The page sends the name of an item, and nothing else counts.
var pricesMsat = map[string]uint64{"coffee": 5000, "cake": 12000}

type shop struct {
	client  *till.Client
	tillURL string
	// open ends when the shop closes.
	open context.Context
}

func main() {
	open, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(open); err != nil {
		log.Fatal(err)
	}
}

func run(open context.Context) error {
	page, err := os.ReadFile(pageFile)
	if err != nil {
		return err
	}
	client, err := till.NewClient(cmp.Or(os.Getenv("TILL_ADDRESS"), "127.0.0.1:50051"), till.WithKey(os.Getenv("TILL_KEY")))
	if err != nil {
		return err
	}
	defer client.Close()
	s := &shop{client, cmp.Or(os.Getenv("TILL_URL"), "http://127.0.0.1:8080"), open}
	http.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { w.Write(page) })
	http.HandleFunc("POST /orders", s.order)

	listener, err := net.Listen("tcp", "127.0.0.1:"+cmp.Or(os.Getenv("PORT"), "8000"))
	if err != nil {
		return err
	}
	fmt.Printf("The shop is open at http://%s\n", listener.Addr())
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(open, func() { server.Close() })
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// order takes an order: it creates the invoice, and watches it.
func (s *shop) order(w http.ResponseWriter, r *http.Request) {
	var ordered struct{ Item string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1000)).Decode(&ordered); err != nil {
		http.Error(w, "the order is not JSON", http.StatusBadRequest)
		return
	}
	price, isSold := pricesMsat[ordered.Item]
	if !isSold {
		http.Error(w, "we do not sell that", http.StatusNotFound)
		return
	}
	order := rand.Text()
	description := "a " + ordered.Item
	created, err := s.client.Invoices.CreateInvoice(r.Context(), &tillv1.CreateInvoiceRequest{
		AmountMsat:  &price,
		Description: &description,
		Metadata:    fmt.Sprintf(`{"type": "shop", "item": %q}`, ordered.Item),
		// A create with a label is safe to retry: it returns the same invoice.
		Label:          &order,
		WithWatchToken: true,
	})
	if err != nil {
		s.fail(w, err)
		return
	}
	invoice := created.Invoice
	go s.deliver(order, invoice.InvoiceId)
	code, err := qrCode("lightning:" + invoice.Bolt11)
	if err != nil {
		s.fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	json.NewEncoder(w).Encode(map[string]string{
		"order":       order,
		"amount_msat": strconv.FormatUint(invoice.GetAmountMsat(), 10),
		"bolt11":      invoice.Bolt11,
		"qr":          code,
		"watch_url":   fmt.Sprintf("%s/lightning/invoice/%s/watch?token=%s", s.tillURL, invoice.InvoiceId, created.GetWatchToken()),
	})
}

// deliver waits for the payment. The shop trusts its own watch, never what a browser says.
func (s *shop) deliver(order, invoiceID string) {
	for invoice, err := range s.client.Watch(s.open, invoiceID) {
		if err != nil {
			log.Printf("order %s: %v", order, err)
			return
		}
		if invoice.Status == tillv1.InvoiceStatus_INVOICE_STATUS_PAID {
			fmt.Printf("Order %s is paid.\n", order)
		}
	}
}

func (s *shop) fail(w http.ResponseWriter, err error) {
	log.Print(err)
	http.Error(w, "the shop has a problem; please try again", http.StatusBadGateway)
}

// qrCode returns the URL of a picture. Capitals make the code smaller.
func qrCode(text string) (string, error) {
	code, err := qr.Encode(strings.ToUpper(text), qr.M, qr.Auto)
	if err != nil {
		return "", err
	}
	// One pixel for each module, and four of white around the code.
	side := code.Bounds().Dx() + 8
	code, err = barcode.Scale(code, side, side)
	if err != nil {
		return "", err
	}
	var picture bytes.Buffer
	if err := png.Encode(&picture, code); err != nil {
		return "", err
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(picture.Bytes()), nil
}
