package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

func main() {
	secret := os.Getenv("TILL_WEBHOOK_SECRET")
	webhook, err := standardwebhooks.NewWebhook(secret)
	if secret == "" || err != nil {
		log.Fatal("TILL_WEBHOOK_SECRET is not the secret of a webhook")
	}
	var seen sync.Map // an application has a database

	http.HandleFunc("POST /till", func(w http.ResponseWriter, r *http.Request) {
		var event struct {
			Type string
			Data struct{ Label string }
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
		if err != nil || webhook.Verify(body, r.Header) != nil || json.Unmarshal(body, &event) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if _, repeated := seen.LoadOrStore(r.Header.Get("webhook-id"), true); !repeated && event.Type == "invoice.paid" {
			fmt.Println("Ship", event.Data.Label)
		}
		w.WriteHeader(http.StatusNoContent)
	})

	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", cmp.Or(os.Getenv("PORT"), "8000")))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("Waiting for events at http://%s/till\n", listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}
