package till_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/protoadapt"

	"example.com/lightning-till/clients/go/till"
	tillv1 "example.com/lightning-till/clients/go/till/v1"
)

const (
	unpaid = tillv1.InvoiceStatus_INVOICE_STATUS_UNPAID
	paid   = tillv1.InvoiceStatus_INVOICE_STATUS_PAID
)

type stream = grpc.ServerStreamingServer[tillv1.WatchInvoiceResponse]

// server is a Till whose watches get one answer after the other.
type server struct {
	tillv1.UnimplementedInvoiceServiceServer
	answers []func(stream) error

	mu       sync.Mutex
	attempts []time.Time
	keys     []string
}

func (s *server) WatchInvoice(_ *tillv1.WatchInvoiceRequest, to stream) error {
	s.mu.Lock()
	s.attempts = append(s.attempts, time.Now())
	answer := s.answers[len(s.attempts)-1]
	s.mu.Unlock()
	return answer(to)
}

// GetInfo answers when its caller has gone.
func (s *server) GetInfo(ctx context.Context, _ *tillv1.GetInfoRequest) (*tillv1.GetInfoResponse, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (s *server) GetInvoice(ctx context.Context, _ *tillv1.GetInvoiceRequest) (*tillv1.GetInvoiceResponse, error) {
	headers, _ := metadata.FromIncomingContext(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append(s.keys, headers.Get("authorization")...)
	return &tillv1.GetInvoiceResponse{}, nil
}

func fails(err error) func(stream) error {
	return func(stream) error { return err }
}

func sends(status tillv1.InvoiceStatus) func(stream) error {
	return func(to stream) error {
		return to.Send(&tillv1.WatchInvoiceResponse{Invoice: &tillv1.Invoice{Status: status}})
	}
}

// listen serves one of Till's services in memory until the test ends, and returns an option that connects to it.
func listen(t *testing.T, s any) grpc.DialOption {
	t.Helper()
	listener := bufconn.Listen(1 << 16)
	running := grpc.NewServer()
	switch s := s.(type) {
	case tillv1.InvoiceServiceServer:
		tillv1.RegisterInvoiceServiceServer(running, s)
	case tillv1.EventServiceServer:
		tillv1.RegisterEventServiceServer(running, s)
	case tillv1.WebhookServiceServer:
		tillv1.RegisterWebhookServiceServer(running, s)
	default:
		t.Fatalf("%T serves none of Till's services", s)
	}
	go running.Serve(listener)
	t.Cleanup(running.Stop)
	return grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) })
}

// connect serves in memory until the test ends, and returns a connection.
func connect(t *testing.T, s any) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///in-memory", listen(t, s), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// serve is connect, and returns a client.
func serve(t *testing.T, s any, options ...till.Option) *till.Client {
	t.Helper()
	client, err := till.NewClientFromConn(connect(t, s), options...)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// refusal returns an error of Till.
func refusal(t *testing.T, grpcCode codes.Code, code till.Code, more ...protoadapt.MessageV1) error {
	t.Helper()
	info := &errdetails.ErrorInfo{Domain: "till", Reason: "REASON", Metadata: map[string]string{"code": string(code)}}
	s, err := status.New(grpcCode, "refused").WithDetails(append(more, info)...)
	if err != nil {
		t.Fatal(err)
	}
	return s.Err()
}
