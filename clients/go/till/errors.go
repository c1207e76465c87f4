package till

import (
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
)

// Info returns what Till says of an error in detail: its reason, such as "NOT_FOUND", and its documented code in the
// metadata. It returns nil if the error is not Till's: a lost connection, a deadline, a proxy.
func Info(err error) *errdetails.ErrorInfo {
	if info := detail[*errdetails.ErrorInfo](err); info.GetDomain() == "till" {
		return info
	}
	return nil
}

// Code returns the documented code of an error of Till, such as "E2", or "" if the error is not Till's.
// [status.Code] tells gRPC's own, which every error of a call has.
func Code(err error) string {
	return Info(err).GetMetadata()["code"]
}

// RetryAfter returns how long to wait before the same call may succeed, if the error says it.
func RetryAfter(err error) (time.Duration, bool) {
	retry := detail[*errdetails.RetryInfo](err)
	return retry.GetRetryDelay().AsDuration(), retry != nil
}

// detail returns the first detail of a type that an error has, or else the zero value.
func detail[T any](err error) (none T) {
	for _, each := range status.Convert(err).Details() {
		if found, ok := each.(T); ok {
			return found
		}
	}
	return none
}
