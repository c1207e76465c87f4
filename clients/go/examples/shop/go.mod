// The shop is a module of its own, so that the client does not depend on its QR codes.
module example.com/lightning-till/clients/go/examples/shop

go 1.25.0

replace example.com/lightning-till/clients/go => ../..

require (
	github.com/boombuler/barcode v1.1.0
	example.com/lightning-till/clients/go v0.0.0
)

require (
	golang.org/x/net v0.58.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
	golang.org/x/text v0.41.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260526163538-3dc84a4a5aaa // indirect
	google.golang.org/grpc v1.83.2 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)
