// Command agent is the agent of the Go client: see clients/conformance/README.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"reflect"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"example.com/lightning-till/clients/go/till"
	tillv1 "example.com/lightning-till/clients/go/till/v1"
)

// request is a request of the driver.
type request struct {
	ID                int             `json:"id"`
	Op                string          `json:"op"`
	Address           string          `json:"address"`
	Key               string          `json:"key"`
	KeyFile           string          `json:"key_file"`
	AllowPlaintextKey bool            `json:"allow_plaintext_key"`
	CAFile            string          `json:"ca_file"`
	Method            string          `json:"method"`
	Request           json.RawMessage `json:"request"`
	TimeoutSeconds    float64         `json:"timeout_seconds"`
	Limit             int             `json:"limit"`
	WaitForReady      bool            `json:"wait_for_ready"`
	Connection        bool            `json:"connection"`
	Call              int             `json:"call"`
}

func (r request) timeout() time.Duration {
	return time.Duration(r.TimeoutSeconds * float64(time.Second))
}

// answer is an answer of the agent.
type answer struct {
	ID         int             `json:"id"`
	OK         json.RawMessage `json:"ok,omitempty"`
	Event      json.RawMessage `json:"event,omitempty"`
	Connection *connection     `json:"connection,omitempty"`
	Error      *failure        `json:"error,omitempty"`
}

type connection struct {
	Lost    bool     `json:"lost"`
	Attempt int      `json:"attempt"`
	Error   *failure `json:"error"`
}

type failure struct {
	Status         string   `json:"status"`
	Message        string   `json:"message"`
	Code           string   `json:"code,omitempty"`
	Reason         string   `json:"reason,omitempty"`
	RetrySeconds   *float64 `json:"retry_seconds,omitempty"`
	OldestSequence uint64   `json:"oldest_sequence,omitempty,string"`
}

var nothing = json.RawMessage("{}")

// agent carries out requests concurrently.
type agent struct {
	client  *till.Client
	cancels map[int]context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	answers *json.Encoder
}

func main() {
	a := &agent{cancels: map[int]context.CancelFunc{}, answers: json.NewEncoder(os.Stdout)}
	requests := json.NewDecoder(os.Stdin)
	for {
		var r request
		if err := requests.Decode(&r); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			log.Fatal(err)
		}
		a.do(r)
	}
	for _, cancel := range a.cancels {
		cancel()
	}
	a.running.Wait()
}

func (a *agent) do(r request) {
	switch r.Op {
	case "connect":
		a.end(r, nothing, a.connect(r))
	case "cancel":
		a.cancels[r.Call]()
		a.end(r, nothing, nil)
	default:
		ctx, cancel := context.WithCancel(context.Background())
		if r.TimeoutSeconds > 0 && r.Op != "list" {
			ctx, cancel = context.WithTimeout(ctx, r.timeout())
		}
		a.cancels[r.ID] = cancel
		client := a.client
		a.running.Add(1)
		go func() {
			defer a.running.Done()
			switch r.Op {
			case "list":
				if r.Method == "ListDeliveries" {
					a.end(r, nothing, a.deliveries(ctx, client, r))
				} else {
					a.end(r, nothing, a.list(ctx, client, r))
				}
			case "export":
				a.end(r, nothing, a.export(ctx, client, r))
			case "watch":
				a.end(r, nothing, a.watch(ctx, client, r))
			case "events":
				a.end(r, nothing, a.events(ctx, client, r))
			default:
				response, err := call(ctx, client, r)
				a.end(r, response, err)
			}
		}()
	}
}

func (a *agent) connect(r request) error {
	if a.client != nil {
		if err := a.client.Close(); err != nil {
			return err
		}
	}
	options := []till.Option{till.WithKey(r.Key)}
	if r.KeyFile != "" {
		options = append(options, till.WithKeyFunc(func(context.Context) (string, error) {
			key, err := os.ReadFile(r.KeyFile)
			return string(key), err
		}))
	}
	if r.AllowPlaintextKey {
		options = append(options, till.AllowPlaintextKey())
	}
	if r.CAFile != "" {
		authority, err := credentials.NewClientTLSFromFile(r.CAFile, "")
		if err != nil {
			return err
		}
		options = append(options, till.WithTransportCredentials(authority))
	}
	var err error
	a.client, err = till.NewClient(r.Address, options...)
	return err
}

func call(ctx context.Context, client *till.Client, r request) (json.RawMessage, error) {
	var method reflect.Value
	for _, service := range []any{client.Invoices, client.EventLog, client.Webhooks} {
		if method = reflect.ValueOf(service).MethodByName(r.Method); method.IsValid() {
			break
		}
	}
	if !method.IsValid() {
		return nil, fmt.Errorf("no method %s", r.Method)
	}
	message := reflect.New(method.Type().In(1).Elem())
	if err := protojson.Unmarshal(r.Request, message.Interface().(proto.Message)); err != nil {
		return nil, err
	}
	results := method.Call([]reflect.Value{reflect.ValueOf(ctx), message})
	if err, failed := results[1].Interface().(error); failed {
		return nil, err
	}
	result := results[0].Interface()
	if created, isSecret := result.(*till.WebhookSecret); isSecret {
		log.Printf("%v %+v %#v %q", created, *created, *created, created)
		slog.Info("a new secret", "result", created)
		result = &tillv1.CreateWebhookResponse{Webhook: created.Webhook, Secret: created.Secret}
	}
	return protojson.Marshal(result.(proto.Message))
}

func (a *agent) export(ctx context.Context, client *till.Client, r request) error {
	var message tillv1.ExportInvoicesRequest
	if err := protojson.Unmarshal(r.Request, &message); err != nil {
		return err
	}
	for part, err := range client.Export(ctx, &message) {
		if err != nil {
			return err
		}
		if err := a.event(r, part); err != nil {
			return err
		}
	}
	return nil
}

func (a *agent) watch(ctx context.Context, client *till.Client, r request) error {
	var message tillv1.WatchInvoiceRequest
	if err := protojson.Unmarshal(r.Request, &message); err != nil {
		return err
	}
	for invoice, err := range client.Watch(ctx, message.InvoiceId, a.watchOptions(r)...) {
		if err != nil {
			return err
		}
		if err := a.event(r, &tillv1.WatchInvoiceResponse{Invoice: invoice}); err != nil {
			return err
		}
	}
	return nil
}

func (a *agent) event(r request, message proto.Message) error {
	event, err := protojson.Marshal(message)
	if err == nil {
		a.say(answer{ID: r.ID, Event: event})
	}
	return err
}

// end answers a request for the last time.
func (a *agent) end(r request, ok json.RawMessage, err error) {
	if err != nil {
		a.say(answer{ID: r.ID, Error: plain(err)})
	} else {
		a.say(answer{ID: r.ID, OK: ok})
	}
}

func (a *agent) say(what answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.answers.Encode(what); err != nil {
		log.Fatal(err)
	}
}

// plain returns an error as the driver reads it. An error that is not the client's has the status UNKNOWN.
func plain(err error) *failure {
	if err == nil {
		return nil
	}
	f := &failure{Status: code.Code_UNKNOWN.String(), Message: err.Error()}
	var e *till.Error
	if errors.As(err, &e) {
		*f = failure{code.Code(status.Code(e)).String(), e.Message, string(e.Code), e.Reason, nil, e.OldestSequence}
		if e.RetryAfter > 0 {
			seconds := e.RetryAfter.Seconds()
			f.RetrySeconds = &seconds
		}
	}
	return f
}
