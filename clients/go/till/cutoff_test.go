//go:build go1.24

package till_test

import (
	"context"
	"encoding/binary"
	"net/http"
	"net/http/httptest"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"example.com/lightning-till/clients/go/till"
	tillv1 "example.com/lightning-till/clients/go/till/v1"
)

// A proxy that loses its connection to Till may end the stream without gRPC's status.
func TestExportThatIsCutOffIsAnError(t *testing.T) {
	message, err := proto.Marshal(&tillv1.ExportInvoicesResponse{Csv: "id\r\n"})
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Write(append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...))
	}))
	proxy.Config.Protocols = new(http.Protocols)
	proxy.Config.Protocols.SetUnencryptedHTTP2(true)
	proxy.Start()
	defer proxy.Close()
	client, err := till.NewClient(proxy.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()

	csv := ""
	var last error
	for part, err := range client.Export(context.Background(), nil) {
		csv += part.GetCsv()
		last = err
	}
	if csv != "id\r\n" || status.Code(last) != codes.Internal {
		t.Errorf("the export was %q, then %v", csv, last)
	}
}
