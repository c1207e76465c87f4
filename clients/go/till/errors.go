package till

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
)

// Code is a documented code of Till. As a target of [errors.Is] it matches an [Error] with this code:
//
//	if errors.Is(err, till.NotFound) {
//
// A newer Till may send other codes than those below.
type Code string

// The documented codes.
const (
	// Internal: Till or its node has a fault; Till's log has the details.
	Internal Code = "E0"
	// InvalidRequest: the message names the field and the limit.
	InvalidRequest Code = "E1"
	// NotFound: the resource does not exist, or belongs to another user.
	NotFound Code = "E2"
	// Unauthenticated: the call needs a key, or the key is unknown, expired or revoked.
	Unauthenticated Code = "E3"
	// PermissionDenied: the key has no scope for the call, or is for another type.
	PermissionDenied Code = "E4"
	// Conflict: the label is in use for another request, or the invoice can no longer be canceled; the message says why.
	Conflict Code = "E5"
	// TooLarge: a value exceeds a limit in bytes.
	TooLarge Code = "E6"
	// TooMany: the key exceeds a limit; RetryAfter says when to retry.
	TooMany Code = "E7"
	// Unavailable: the node is offline, or Till cannot serve the call now; retry later.
	Unavailable Code = "E8"
	// TookTooLong: a time-out at Till; the outcome of the call is unknown.
	TookTooLong Code = "E9"
	// NoSuchMethod: this Till is older than the client.
	NoSuchMethod Code = "E10"
	// NotActive: the invoice request is disabled or collected.
	NotActive Code = "E11"
	// Expired: the invoice request has expired.
	Expired Code = "E12"
	// Unreachable: no route leads to the node that made the invoice request.
	Unreachable Code = "E13"
	// Refused: the node that made the invoice request refuses to pay.
	Refused Code = "E14"
	// NotPaid: the node that made the invoice request did not pay in time; this invoice can no longer be paid.
	NotPaid Code = "E15"
	// EventsGone: Till has removed events after the start; OldestSequence is the first one left.
	EventsGone Code = "E16"
)

// Error returns the code, such as "E2".
func (c Code) Error() string { return string(c) }

// CodeOf returns the documented code of an error, or "" if the error is not Till's: the connection was lost, or the
// deadline has passed.
func CodeOf(err error) Code {
	var failure *Error
	if errors.As(err, &failure) {
		return failure.Code
	}
	return ""
}

// Error is the error of a call, a watch or events. It matches a [Code] with [errors.Is]. If the context of the call has ended,
// it also matches [context.Canceled] or [context.DeadlineExceeded]. [status.Code] returns its gRPC status.
type Error struct {
	// Code is the documented code, such as NotFound. "" if the error is not Till's.
	Code Code
	// Reason is the name of the error, such as "NODE_OFFLINE". "" if the error is not Till's.
	Reason string
	// Message is for people.
	Message string
	// RetryAfter is how long to wait before a retry. 0: unknown.
	RetryAfter time.Duration
	// OldestSequence is the sequence of the oldest event left, for EventsGone. 0: unknown, as for events of all users.
	OldestSequence uint64

	status *status.Status
	causes []error
}

func newError(s *status.Status, causes ...error) *Error {
	e := &Error{Message: s.Message(), status: s, causes: causes}
	for _, each := range s.Details() {
		switch detail := each.(type) {
		case *errdetails.ErrorInfo:
			if detail.Domain == "till" {
				e.Code, e.Reason = Code(detail.Metadata["code"]), detail.Reason
				// 0 if it is absent.
				e.OldestSequence, _ = strconv.ParseUint(detail.Metadata["oldest_sequence"], 10, 64)
			}
		case *errdetails.RetryInfo:
			e.RetryAfter = detail.RetryDelay.AsDuration()
		}
	}
	return e
}

func (e *Error) setMessage(message string) {
	changed := e.status.Proto()
	changed.Message = message
	e.Message, e.status = message, status.FromProto(changed)
}

// Error returns the message, after the code or else the gRPC status.
func (e *Error) Error() string {
	if e.Code != "" {
		return fmt.Sprintf("till: %s: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("till: %s: %s", e.status.Code(), e.Message)
}

// GRPCStatus returns the gRPC status, also for [status.FromError].
func (e *Error) GRPCStatus() *status.Status { return e.status }

// Is reports whether target is the [Code] of the error.
func (e *Error) Is(target error) bool {
	code, isCode := target.(Code)
	return isCode && code != "" && code == e.Code
}

// Unwrap returns gRPC's error, the error of the context, and the last loss of a watch that reached its deadline.
func (e *Error) Unwrap() []error { return e.causes }
