package till

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// Option configures a [Client].
type Option func(*options)

type options struct {
	key               KeyFunc
	keyErr            error
	allowPlaintextKey bool
	transport         credentials.TransportCredentials
	dialOptions       []grpc.DialOption
	isAboutConn       bool
}

func collect(opts []Option) options {
	o := options{transport: insecure.NewCredentials()}
	for _, option := range opts {
		option(&o)
	}
	return o
}

// KeyFunc returns the current key, or "" for none.
type KeyFunc func(ctx context.Context) (string, error)

var (
	errMalformedKey = errors.New("a key has printable ASCII only, without spaces")
	errPlaintextKey = errors.New("a key is sent without TLS to loopback only; " +
		"use till.WithTransportCredentials, or pass till.AllowPlaintextKey")
)

// WithKey sends a key, or a watch token, with each call. White space around the key is ignored, such as the newline at
// the end of a file. "" is no key. [NewClient] fails if the key is malformed.
func WithKey(key string) Option {
	key, err := cleanKey(key)
	return func(o *options) {
		o.key, o.keyErr = nil, err
		if key != "" {
			o.key = func(context.Context) (string, error) { return key, nil }
		}
	}
}

// WithKeyFunc asks for the key before each call, and before each attempt of a watch or of events, for a key that rotates.
// If the function fails, or its key is malformed, so does the call, the watch or the loop over events. Goroutines call the
// function concurrently.
func WithKeyFunc(key KeyFunc) Option {
	return func(o *options) { o.key, o.keyErr = key, nil }
}

// AllowPlaintextKey permits a key without TLS beyond loopback, for a network that you trust.
func AllowPlaintextKey() Option {
	return func(o *options) { o.allowPlaintextKey = true }
}

// WithTransportCredentials uses TLS: [credentials.NewTLS] with nil trusts the authorities of the system,
// [credentials.NewClientTLSFromFile] one of your own.
func WithTransportCredentials(transport credentials.TransportCredentials) Option {
	return func(o *options) { o.transport, o.isAboutConn = transport, true }
}

// WithDialOptions passes options to gRPC, such as interceptors. They take precedence over the client's own.
func WithDialOptions(dialOptions ...grpc.DialOption) Option {
	return func(o *options) { o.dialOptions, o.isAboutConn = append(o.dialOptions, dialOptions...), true }
}

var isKey = regexp.MustCompile("^[!-~]+$").MatchString

// cleanKey returns a key without the white space around it. Its error does not repeat the key.
func cleanKey(key string) (string, error) {
	clean := strings.TrimSpace(key)
	if key != "" && !isKey(clean) {
		return "", errMalformedKey
	}
	return clean, nil
}

// bearer sends a key with a call. Unlike metadata, interceptors cannot see and log it.
type bearer struct {
	key      string
	needsTLS bool
}

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + b.key}, nil
}

func (b bearer) RequireTransportSecurity() bool { return b.needsTLS }
