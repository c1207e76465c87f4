package till_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"example.com/lightning-till/clients/go/till"
	tillv1 "example.com/lightning-till/clients/go/till/v1"
)

func TestKeyWithoutTLSGoesToLoopbackOnly(t *testing.T) {
	for _, target := range []string{
		"localhost:1", "LOCALHOST:1", "127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost", "::1", ":1",
		"dns:///127.0.0.1:1", "dns:localhost:1", "passthrough:///[::1]:1", "unix:till.sock", "unix:///run/till.sock",
	} {
		if _, err := till.NewClient(target, till.WithKey("till_a")); err != nil {
			t.Errorf("%s: %v", target, err)
		}
	}
	for _, target := range []string{
		"till.example:1", "10.0.0.1:1", "[::2]:1", "localhost.example:1", "dns:///till.example:1", "dns://127.0.0.1/till.example:1",
	} {
		_, err := till.NewClient(target, till.WithKey("till_a"))
		if err == nil || !strings.Contains(err.Error(), "to loopback only") {
			t.Errorf("%s: %v", target, err)
		}
		for _, option := range []till.Option{till.AllowPlaintextKey(), till.WithTransportCredentials(credentials.NewTLS(nil))} {
			if _, err := till.NewClient(target, till.WithKey("till_a"), option); err != nil {
				t.Errorf("%s: %v", target, err)
			}
		}
	}
}

func TestKeyIsNotSentIfADialOptionTurnsTLSOff(t *testing.T) {
	s := &server{}
	client, err := till.NewClient("passthrough:///till.example:1", till.WithKey("till_a"),
		till.WithTransportCredentials(credentials.NewTLS(nil)),
		till.WithDialOptions(grpc.WithTransportCredentials(insecure.NewCredentials()), listen(t, s)))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Invoices.GetInvoice(context.Background(), &tillv1.GetInvoiceRequest{}); err == nil || len(s.keys) > 0 {
		t.Errorf("the call gave %v, and the server got %q", err, s.keys)
	}
}

func TestKeyFunctionIsAskedBeforeEachCall(t *testing.T) {
	keys := []string{" till_a\n", "till_b", "", "till_secret b"}
	s := &server{}
	client := serve(t, s, till.WithKeyFunc(func(context.Context) (key string, err error) {
		key, keys = keys[0], keys[1:]
		return key, nil
	}))
	var err error
	for range 4 {
		_, err = client.Invoices.GetInvoice(context.Background(), &tillv1.GetInvoiceRequest{})
	}
	if want := []string{"Bearer till_a", "Bearer till_b"}; !slices.Equal(s.keys, want) {
		t.Errorf("the keys were %q", s.keys)
	}
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("the malformed key gave %v", err)
	}
}

func TestKeyFunctionThatFails(t *testing.T) {
	// A key function that reads an empty file may fail with io.EOF, which gRPC's streams use for their end.
	for _, failure := range []error{errors.New("the vault is locked"), io.EOF} {
		client := serve(t, &server{}, till.WithKeyFunc(func(context.Context) (string, error) { return "", failure }))
		if _, err := client.Invoices.GetInvoice(context.Background(), &tillv1.GetInvoiceRequest{}); !errors.Is(err, failure) {
			t.Errorf("the call failed with %v", err)
		}
		var err error
		for _, err = range client.Watch(context.Background(), "id", till.WaitForReady()) {
		}
		if !errors.Is(err, failure) {
			t.Errorf("the watch failed with %v", err)
		}
		err = nil
		for _, err = range client.Export(context.Background(), nil) {
		}
		if !errors.Is(err, failure) {
			t.Errorf("the export failed with %v", err)
		}
	}
}

func TestClientDoesNotPrintItsKey(t *testing.T) {
	client, err := till.NewClient("127.0.0.1:1", till.WithKey("till_secret"))
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v"} {
		if text := fmt.Sprintf(format, *client); strings.Contains(text, "secret") {
			t.Errorf("%s prints the key", format)
		}
	}
}

func TestConnectionOfTheCaller(t *testing.T) {
	conn := connect(t, &server{})
	client, err := till.NewClientFromConn(conn, till.WithKey("till_a"))
	if err != nil {
		t.Fatal(err)
	}
	if client.Conn() != conn {
		t.Error("Conn is another connection")
	}
	client.Close()
	if conn.GetState() == connectivity.Shutdown {
		t.Error("Close closed the connection of the caller")
	}
	if _, err := till.NewClientFromConn(conn, till.WithTransportCredentials(credentials.NewTLS(nil))); err == nil {
		t.Error("an option without effect was accepted")
	}
}
