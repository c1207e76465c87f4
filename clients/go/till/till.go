// Package till is the Go client of Till, a cash register for Core Lightning.
//
// A [Client] has the generated clients of Till's gRPC services; their messages are in package tillv1. It adds
// [Client.Watch] and [Client.Events], which reconnect, [Client.List] and [Client.Deliveries], which fetch all pages,
// [Client.Export], and [Error], which has Till's documented [Code].
//
// Amounts are in millisatoshi.
package till

import (
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/keepalive"

	tillv1 "example.com/lightning-till/clients/go/till/v1"
)

// connectTimeout limits one attempt to connect.
const connectTimeout = 5 * time.Second

// Client calls one Till. It connects with the first call, and reconnects when the connection is lost. Goroutines may
// share a Client.
type Client struct {
	// Invoices takes payments, and finds, cancels and reports them.
	Invoices tillv1.InvoiceServiceClient
	// Invreqs offers payments, for keys with the scope payouts.
	Invreqs tillv1.InvreqServiceClient
	// Keys creates, lists and revokes keys, for keys with the scope admin.
	Keys tillv1.KeyServiceClient
	// EventLog lists events by page, for keys with the scope events:read. Events streams them.
	EventLog tillv1.EventServiceClient
	// Webhooks has Till send events to a URL, for keys with the scope webhooks.
	Webhooks Webhooks

	conn     *conn
	ownsConn bool
}

// NewClient returns a client of the Till at a gRPC target, such as "127.0.0.1:50051". It does not connect yet. It fails
// if the target, an option or a key is invalid.
//
// Without [WithTransportCredentials] nothing is encrypted; a key is then sent to loopback only.
func NewClient(target string, opts ...Option) (*Client, error) {
	o := collect(opts)
	if o.keyErr != nil {
		return nil, o.keyErr
	}
	needsTLS := o.key != nil && !o.allowPlaintextKey && !isLoopback(target)
	if needsTLS && o.transport.Info().SecurityProtocol == "insecure" {
		return nil, errPlaintextKey
	}
	dialOptions := []grpc.DialOption{
		grpc.WithTransportCredentials(o.transport),
		// The connection's back-off adds to the pauses of a watch, so it stays short.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay: 100 * time.Millisecond, Multiplier: 2, Jitter: 0.2, MaxDelay: 400 * time.Millisecond,
			},
			MinConnectTimeout: connectTimeout,
		}),
		// Without pings a silent watch would not notice a network that drops its packets.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		// A retry policy from DNS could create an invoice twice.
		grpc.WithDisableServiceConfig(),
	}
	cc, err := grpc.NewClient(target, append(dialOptions, o.dialOptions...)...)
	if err != nil {
		return nil, err
	}
	client := newClient(&conn{ClientConn: cc, key: o.key, needsTLS: needsTLS, proxy: proxyOf(target)})
	client.ownsConn = true
	return client, nil
}

// NewClientFromConn returns a client that uses a connection of the caller. The caller chooses its security and its
// back-off, and closes it. A key is sent without any check of the connection.
//
// The pauses of a watch and the back-off of the connection add up; gRPC's own grows to two minutes, unless
// [grpc.WithConnectParams] shortens it. Options that concern the connection are an error.
func NewClientFromConn(cc *grpc.ClientConn, opts ...Option) (*Client, error) {
	o := collect(opts)
	if o.keyErr != nil {
		return nil, o.keyErr
	}
	if o.isAboutConn {
		return nil, errors.New("transport credentials and dial options have no effect on a connection that exists; " +
			"pass them to grpc.NewClient")
	}
	return newClient(&conn{ClientConn: cc, key: o.key, proxy: proxyOf(cc.Target())}), nil
}

func newClient(c *conn) *Client {
	return &Client{
		Invoices: tillv1.NewInvoiceServiceClient(c),
		Invreqs:  tillv1.NewInvreqServiceClient(c),
		Keys:     tillv1.NewKeyServiceClient(c),
		EventLog: tillv1.NewEventServiceClient(c),
		Webhooks: Webhooks{tillv1.NewWebhookServiceClient(c)},
		conn:     c,
	}
}

// Conn returns the client's connection, for its state or for other services. Calls made with it directly carry no key.
func (c *Client) Conn() *grpc.ClientConn {
	return c.conn.ClientConn
}

// Close ends all calls and watches, and closes the connection. It does not close the connection of
// [NewClientFromConn].
func (c *Client) Close() error {
	if !c.ownsConn {
		return nil
	}
	return c.conn.Close()
}
