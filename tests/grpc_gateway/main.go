// Serves the documented JSON REST API with grpc-gateway, in front of tilld: main GRPC_ADDRESS.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	till "lightning-till/tests/grpc_gateway/gen/till/rest/v1"
)

// HTTP statuses that differ from the default for the gRPC status.
var httpStatus = map[string]int{
	"E5": http.StatusConflict, "E6": http.StatusRequestEntityTooLarge, "E10": http.StatusMethodNotAllowed,
	"E11": http.StatusConflict, "E12": http.StatusGone, "E13": http.StatusBadGateway,
	"E14": http.StatusUnprocessableEntity, "E15": http.StatusGatewayTimeout,
	"E16": http.StatusGone,
}

// Codes for requests that the gateway itself rejects.
var tillCodes = map[int]string{
	http.StatusBadRequest: "E1", http.StatusNotFound: "E2", http.StatusRequestEntityTooLarge: "E6",
	http.StatusServiceUnavailable: "E8", http.StatusGatewayTimeout: "E9",
	http.StatusMethodNotAllowed: "E10", http.StatusNotImplemented: "E10",
}

// answer returns the documented status and body of an error.
func answer(told *status.Status) (int, []byte) {
	httpCode := runtime.HTTPStatusFromCode(told.Code())
	code, known := tillCodes[httpCode]
	if !known {
		code = "E0"
	}
	var oldest json.RawMessage
	for _, detail := range told.Details() {
		if info, is := detail.(*errdetails.ErrorInfo); is && info.Domain == "till" {
			code, oldest = info.Metadata["code"], json.RawMessage(info.Metadata["oldest_sequence"])
		}
	}
	if other, differs := httpStatus[code]; differs {
		httpCode = other
	}
	body, _ := json.Marshal(struct {
		Error   string          `json:"error"`
		Message string          `json:"message"`
		Oldest  json.RawMessage `json:"oldest_sequence,omitempty"`
	}{code, told.Message(), oldest})
	return httpCode, body
}

func refuse(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, _ *http.Request, err error) {
	httpCode, body := answer(status.Convert(err))
	if httpCode == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(httpCode)
	_, _ = w.Write(body)
}

// rawBodies passes bodies of google.api.HttpBody through unchanged; the gateway does so only for responses.
type rawBodies struct{ *runtime.HTTPBodyMarshaler }

func (m rawBodies) NewDecoder(r io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(value any) error {
		body, is := value.(**httpbody.HttpBody)
		if !is {
			return m.HTTPBodyMarshaler.NewDecoder(r).Decode(value)
		}
		data, err := io.ReadAll(r)
		*body = &httpbody.HttpBody{Data: data}
		return err
	})
}

// Marshal also writes the error of a stream, which does not reach the error handler.
func (m rawBodies) Marshal(value any) ([]byte, error) {
	if chunk, is := value.(map[string]proto.Message); is {
		if told, failed := chunk["error"].(*spb.Status); failed {
			_, body := answer(status.FromProto(told))
			return body, nil
		}
	}
	return m.HTTPBodyMarshaler.Marshal(value)
}

// Delimiter returns no separator between the messages of a stream: server-sent events contain their own.
func (rawBodies) Delimiter() []byte { return nil }

// listQuery rejects the unknown parameters of a list, which the gateway ignores: a typo must not list everything.
type listQuery struct{ runtime.DefaultQueryParser }

func (q *listQuery) Parse(target proto.Message, values url.Values, filter *utilities.DoubleArray) error {
	switch target.(type) {
	case *till.ListInvoicesRequest, *till.ExportInvoicesRequest, *till.GetReportRequest,
		*till.ListEventsRequest, *till.WatchEventsRequest, *till.ListDeliveriesRequest:
		fields := target.ProtoReflect().Descriptor().Fields()
		inPath := func(name string) bool { return filter.HasCommonPrefix([]string{name}) }
		for name, given := range values {
			field := fields.ByName(protoreflect.Name(name))
			if field == nil || inPath(name) {
				var known []string
				for i := range fields.Len() {
					if each := string(fields.Get(i).Name()); !inPath(each) {
						known = append(known, each)
					}
				}
				return fmt.Errorf("unknown parameter '%s'; the parameters are %s", name, strings.Join(known, ", "))
			}
			if len(given) > 1 && !field.IsList() {
				return fmt.Errorf("%s is repeated; send it once", name)
			}
			if !utf8.ValidString(strings.Join(given, "")) {
				return fmt.Errorf("%s is not valid UTF-8", name)
			}
		}
	}
	return q.DefaultQueryParser.Parse(target, values, filter)
}

// breakOff ends the connection when tilld sends what is no message: a file failed midway, and must not look complete.
func breakOff(_ context.Context, err error) *status.Status {
	told := status.Convert(err)
	if told.Code() == codes.Internal && len(told.Details()) == 0 {
		panic(http.ErrAbortHandler)
	}
	return told
}

func main() {
	ctx := context.Background()
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, rawBodies{&runtime.HTTPBodyMarshaler{Marshaler: &runtime.JSONPb{}}}),
		runtime.WithErrorHandler(refuse),
		runtime.SetQueryParameterParser(&listQuery{}),
		runtime.WithStreamErrorHandler(breakOff),
		runtime.WithOutgoingHeaderMatcher(func(name string) (string, bool) { return name, name == "content-disposition" }),
		runtime.WithIncomingHeaderMatcher(func(name string) (string, bool) {
			switch name {
			case "Authorization", "Idempotency-Key", "Last-Event-Id":
				return name, true
			}
			return "", false
		}),
	)
	options := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	for _, register := range []func(context.Context, *runtime.ServeMux, string, []grpc.DialOption) error{
		till.RegisterInvoiceServiceHandlerFromEndpoint, till.RegisterInvreqServiceHandlerFromEndpoint,
		till.RegisterHealthServiceHandlerFromEndpoint, till.RegisterEventServiceHandlerFromEndpoint,
		till.RegisterWebhookServiceHandlerFromEndpoint,
	} {
		if err := register(ctx, mux, os.Args[1], options); err != nil {
			log.Fatal(err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())
	log.Fatal(http.Serve(listener, mux))
}
