// The receiver in Go. Its library is no dependency of the client.
module receiver

go 1.23.0

require github.com/standard-webhooks/standard-webhooks/libraries v0.0.1
