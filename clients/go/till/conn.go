package till

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// openTimeout limits the start of a stream, such as by a name server that does not answer. It is longer than
// connectTimeout, whose error says more.
const openTimeout = connectTimeout + 500*time.Millisecond

// conn is a connection whose calls carry the key, and fail with an [Error].
type conn struct {
	*grpc.ClientConn
	key KeyFunc
	// needsTLS refuses to send the key if a dial option has replaced the transport credentials.
	needsTLS bool
	// proxy is HOST:PORT of the proxy, or "".
	proxy string
}

func (c *conn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	opts, err := c.withKey(ctx, opts)
	if err != nil {
		return err
	}
	return c.asError(ctx, c.ClientConn.Invoke(ctx, method, args, reply, opts...))
}

func (c *conn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	opts, err := c.withKey(ctx, opts)
	if err != nil {
		return nil, err
	}
	opened, cancel := context.WithCancel(ctx)
	opening := time.AfterFunc(openTimeout, cancel)
	s, err := c.ClientConn.NewStream(opened, desc, method, opts...)
	if !opening.Stop() && ctx.Err() == nil {
		return nil, newError(status.Newf(codes.Unavailable, "no connection within %v", openTimeout))
	}
	if err != nil {
		return nil, c.asError(ctx, err)
	}
	return &stream{s, c}, nil
}

// stream is a stream whose errors are an [Error], except io.EOF.
type stream struct {
	grpc.ClientStream
	conn *conn
}

func (s *stream) SendMsg(m any) error {
	return s.conn.asError(s.Context(), s.ClientStream.SendMsg(m))
}

func (s *stream) RecvMsg(m any) error {
	return s.conn.asError(s.Context(), s.ClientStream.RecvMsg(m))
}

func (c *conn) withKey(ctx context.Context, opts []grpc.CallOption) ([]grpc.CallOption, error) {
	if c.key == nil {
		return opts, nil
	}
	key, err := c.key(ctx)
	if err != nil {
		return nil, fmt.Errorf("the key function failed: %w", err)
	}
	if key, err = cleanKey(key); err != nil || key == "" {
		return opts, err
	}
	return append(opts, grpc.PerRPCCredentials(bearer{key, c.needsTLS})), nil
}

// asError returns the error of a call as an [Error]. Errors that are not gRPC's stay as they are.
func (c *conn) asError(ctx context.Context, err error) error {
	s, isStatus := status.FromError(err)
	if err == nil || !isStatus {
		return err
	}
	failure := newError(s, err)
	if failure.Code != "" {
		return failure
	}
	if own := ownError(ctx, s.Code()); own != nil {
		failure.causes = append(failure.causes, own)
		failure.status = status.New(status.FromContextError(own).Code(), failure.Message)
	} else if c.proxy != "" && s.Code() == codes.Unavailable {
		// gRPC reports the proxy's address as if it were Till's.
		failure.setMessage(fmt.Sprintf("%s (through the proxy %s; to bypass it, add Till's host to NO_PROXY)", failure.Message, c.proxy))
	}
	return failure
}

// ownError returns the error of the caller's context, if it ended the call.
func ownError(ctx context.Context, code codes.Code) error {
	switch code {
	case codes.DeadlineExceeded:
		// Till counts the same deadline, and its answer may be faster than the timer of the context.
		if _, hasDeadline := ctx.Deadline(); hasDeadline && ctx.Err() == nil {
			return context.DeadlineExceeded
		}
		return ctx.Err()
	case codes.Canceled:
		return ctx.Err()
	}
	return nil
}

// proxyOf returns HOST:PORT of the proxy that gRPC uses for a target, or "". Loopback has none.
func proxyOf(target string) string {
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: &url.URL{Scheme: "https", Host: addressOf(target)}})
	if err != nil || proxy == nil {
		return ""
	}
	return proxy.Host
}

// isLoopback reports whether a gRPC target stays on this machine.
func isLoopback(target string) bool {
	if strings.HasPrefix(target, "unix:") || strings.HasPrefix(target, "unix-abstract:") {
		return true
	}
	host := addressOf(target)
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	// As for net.Dial, no host is this one.
	return host == "" || strings.EqualFold(host, "localhost") || ip.IsLoopback()
}

var scheme = regexp.MustCompile("^(dns|passthrough):(//[^/]*/)?")

// addressOf returns HOST:PORT of a gRPC target such as dns:///HOST:PORT.
func addressOf(target string) string {
	return scheme.ReplaceAllString(target, "")
}
