package till

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// nameProxy names the proxy on the way to an address in the error of a call that has not come to Till: gRPC's own has
// the proxy's address as if it were Till's.
func nameProxy(address string) grpc.UnaryClientInterceptor {
	// As gRPC asks for it. Loopback has none.
	proxy, _ := http.ProxyFromEnvironment(&http.Request{URL: &url.URL{Scheme: "https", Host: address}})
	return func(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
		err := invoke(ctx, method, request, reply, conn, options...)
		if proxy == nil || status.Code(err) != codes.Unavailable || Code(err) != "" {
			return err
		}
		named := status.Convert(err).Proto()
		named.Message += fmt.Sprintf(" (through the proxy %s; to go without it, add Till's host to NO_PROXY)", proxy.Host)
		return status.ErrorProto(named)
	}
}
