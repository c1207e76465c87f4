// Package till talks to Till, a cash register for Core Lightning.
//
// A [Client] has the generated clients of Till's gRPC services, whose messages are in [tillv1]. Besides it has what
// cannot be generated: [Client.Watch], which outlives lost connections, and, for errors, [Code] and [RetryAfter].
//
// Amounts are in millisatoshi.
package till

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	tillv1 "lightning-till-client/till/v1"
)

// Pauses before a lost connection is tried again: from the first, twice as long each time, up to the longest.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
)

// Client calls one Till, over a connection that it opens when it is needed and again when it was lost. It may be used
// by many goroutines at once.
type Client struct {
	// Invoices takes payments.
	Invoices tillv1.InvoiceServiceClient
	// Invreqs offers payments, for keys with the scope payouts.
	Invreqs tillv1.InvreqServiceClient
	// Keys makes, lists and revokes keys, for keys with the scope admin.
	Keys tillv1.KeyServiceClient

	conn *grpc.ClientConn
}

// NewClient returns a client of the Till at an address such as "127.0.0.1:50051". It does not connect yet, so it
// succeeds whether or not somebody listens there; it fails where an option, a key or the address is wrong.
//
// Without [grpc.WithTransportCredentials] it talks in the clear, a key included: for loopback, or a network that you
// trust. Any other [grpc.DialOption] may be given too.
func NewClient(address string, options ...grpc.DialOption) (*Client, error) {
	for _, each := range options {
		if key, ok := each.(keyOption); ok && key.err != nil {
			return nil, key.err
		}
	}
	defaults := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		// gRPC's own pauses grow to two minutes, and a watch would wait for them.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: firstPause, Multiplier: 2, Jitter: 0.2, MaxDelay: longestPause},
			MinConnectTimeout: 5 * time.Second,
		}),
		// A watch is silent for as long as nobody pays: else it would not notice that the network is gone.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		// What a name server says must not have an invoice created twice.
		grpc.WithDisableServiceConfig(),
		grpc.WithChainUnaryInterceptor(nameProxy(address)),
	}
	conn, err := grpc.NewClient(address, append(defaults, options...)...)
	if err != nil {
		return nil, err
	}
	return &Client{
		Invoices: tillv1.NewInvoiceServiceClient(conn),
		Invreqs:  tillv1.NewInvreqServiceClient(conn),
		Keys:     tillv1.NewKeyServiceClient(conn),
		conn:     conn,
	}, nil
}

// Close ends the connection, and all that goes on over it.
func (c *Client) Close() error {
	return c.conn.Close()
}

// WithKey sends a key, or a watch token, with each call. White space around it is left out, such as the end of a line
// in a file; "" is none. With what can be neither, [NewClient] fails.
func WithKey(key string) grpc.DialOption {
	if key == "" {
		return grpc.EmptyDialOption{}
	}
	key = strings.TrimSpace(key)
	if !isKey(key) {
		return keyOption{grpc.EmptyDialOption{}, errors.New("a key has printable ASCII only, without spaces")}
	}
	return keyOption{grpc.WithPerRPCCredentials(bearer(key)), nil}
}

// keyOption is an option that may be wrong.
type keyOption struct {
	grpc.DialOption
	err error
}

var isKey = regexp.MustCompile("^[!-~]+$").MatchString

type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

// RequireTransportSecurity is false for the sake of a Till on loopback.
func (bearer) RequireTransportSecurity() bool { return false }
