// The agent of the Go client: see clients/conformance/README.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"reflect"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"lightning-till-client/till"
	tillv1 "lightning-till-client/till/v1"
)

// order is what the driver says.
type order struct {
	ID             int             `json:"id"`
	Op             string          `json:"op"`
	Address        string          `json:"address"`
	Key            string          `json:"key"`
	CAFile         string          `json:"ca_file"`
	Method         string          `json:"method"`
	Request        json.RawMessage `json:"request"`
	TimeoutSeconds float64         `json:"timeout_seconds"`
	Call           int             `json:"call"`
}

// answer is what the agent says.
type answer struct {
	ID    int             `json:"id"`
	OK    json.RawMessage `json:"ok,omitempty"`
	Event json.RawMessage `json:"event,omitempty"`
	Error *failure        `json:"error,omitempty"`
}

type failure struct {
	Status       string   `json:"status"`
	Message      string   `json:"message"`
	Code         string   `json:"code,omitempty"`
	Reason       string   `json:"reason,omitempty"`
	RetrySeconds *float64 `json:"retry_seconds,omitempty"`
}

var nothing = json.RawMessage("{}")

// agent does what it is told, everything at once.
type agent struct {
	client  *till.Client
	cancels map[int]context.CancelFunc
	going   sync.WaitGroup

	mu      sync.Mutex
	answers *json.Encoder
}

func main() {
	a := &agent{cancels: map[int]context.CancelFunc{}, answers: json.NewEncoder(os.Stdout)}
	orders := json.NewDecoder(os.Stdin)
	for {
		var o order
		if err := orders.Decode(&o); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			log.Fatal(err)
		}
		a.do(o)
	}
	for _, cancel := range a.cancels {
		cancel()
	}
	a.going.Wait()
}

func (a *agent) do(o order) {
	switch o.Op {
	case "connect":
		a.end(o, nothing, a.connect(o))
	case "cancel":
		a.cancels[o.Call]()
		a.end(o, nothing, nil)
	default:
		ctx, cancel := context.WithCancel(context.Background())
		if o.TimeoutSeconds > 0 {
			ctx, cancel = context.WithTimeout(ctx, time.Duration(o.TimeoutSeconds*float64(time.Second)))
		}
		a.cancels[o.ID] = cancel
		client := a.client
		a.going.Go(func() {
			if o.Op == "watch" {
				a.end(o, nothing, a.watch(ctx, client, o))
			} else {
				response, err := call(ctx, client, o)
				a.end(o, response, err)
			}
		})
	}
}

func (a *agent) connect(o order) error {
	if a.client != nil {
		if err := a.client.Close(); err != nil {
			return err
		}
	}
	options := []grpc.DialOption{till.WithKey(o.Key)}
	if o.CAFile != "" {
		authority, err := credentials.NewClientTLSFromFile(o.CAFile, "")
		if err != nil {
			return err
		}
		options = append(options, grpc.WithTransportCredentials(authority))
	}
	var err error
	a.client, err = till.NewClient(o.Address, options...)
	return err
}

func call(ctx context.Context, client *till.Client, o order) (json.RawMessage, error) {
	method := reflect.ValueOf(client.Invoices).MethodByName(o.Method)
	if !method.IsValid() {
		return nil, fmt.Errorf("there is no method %s", o.Method)
	}
	request := reflect.New(method.Type().In(1).Elem())
	if err := protojson.Unmarshal(o.Request, request.Interface().(proto.Message)); err != nil {
		return nil, err
	}
	results := method.Call([]reflect.Value{reflect.ValueOf(ctx), request})
	if err, failed := results[1].Interface().(error); failed {
		return nil, err
	}
	return protojson.Marshal(results[0].Interface().(proto.Message))
}

func (a *agent) watch(ctx context.Context, client *till.Client, o order) error {
	var request tillv1.WatchInvoiceRequest
	if err := protojson.Unmarshal(o.Request, &request); err != nil {
		return err
	}
	for invoice, err := range client.Watch(ctx, request.InvoiceId) {
		if err != nil {
			return err
		}
		event, err := protojson.Marshal(&tillv1.WatchInvoiceResponse{Invoice: invoice})
		if err != nil {
			return err
		}
		a.say(answer{ID: o.ID, Event: event})
	}
	return nil
}

// end says what became of an order.
func (a *agent) end(o order, ok json.RawMessage, err error) {
	if err != nil {
		a.say(answer{ID: o.ID, Error: plain(err)})
	} else {
		a.say(answer{ID: o.ID, OK: ok})
	}
}

func (a *agent) say(what answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.answers.Encode(what); err != nil {
		log.Fatal(err)
	}
}

// plain is an error as the driver reads it. One that is not gRPC's has the status UNKNOWN.
func plain(err error) *failure {
	told := status.Convert(err)
	f := &failure{
		Status:  code.Code(told.Code()).String(),
		Message: told.Message(),
		Code:    till.Code(err),
		Reason:  till.Info(err).GetReason(),
	}
	if wait, ok := till.RetryAfter(err); ok {
		seconds := wait.Seconds()
		f.RetrySeconds = &seconds
	}
	return f
}
