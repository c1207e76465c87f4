package till

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"
)

// The pauses between attempts double from the first to the longest.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 1500 * time.Millisecond
)

// attempts are those of a watch, of events, or of a page of a list.
type attempts struct {
	client *Client
	// what is attempted, for errors.
	what   string
	report func(Connection)
	// reconnects is true after the first message, or from the start.
	reconnects bool
	// until is when to give up. Zero: when the context ends.
	until time.Time

	pause time.Duration
	// losses in a row, and the last of them.
	losses   int
	lastLoss *Error
}

func newAttempts(client *Client, what string) *attempts {
	return &attempts{client: client, what: what, report: func(Connection) {}, pause: firstPause}
}

// received notes that the connection works.
func (a *attempts) received() {
	a.reconnects, a.pause = true, firstPause
	if a.losses > 0 {
		a.report(Connection{Attempt: a.losses})
		a.losses, a.lastLoss = 0, nil
	}
}

// pauseAfter waits before the next attempt, or returns the error that the last one is.
func (a *attempts) pauseAfter(ctx context.Context, err error) error {
	var loss *Error
	switch {
	case ctx.Err() != nil:
		return a.ended(ctx.Err())
	case errors.Is(err, context.DeadlineExceeded):
		return a.ended(context.DeadlineExceeded)
	case !errors.As(err, &loss) || !a.reconnects || !loss.isTemporary() || a.client.conn.GetState() == connectivity.Shutdown:
		return err
	}
	// Jitter keeps watches that were lost together from coming back together.
	pause := jitter(a.pause, 0.5, 1)
	a.pause = min(2*a.pause, longestPause)
	if loss.RetryAfter > 0 {
		pause = jitter(loss.RetryAfter, 1, 1.5)
	}
	if !a.until.IsZero() && time.Until(a.until) < pause {
		return err
	}
	a.losses++
	a.lastLoss = loss
	a.report(Connection{Lost: true, Attempt: a.losses, Err: loss})
	select {
	case <-ctx.Done():
		return a.ended(ctx.Err())
	case <-time.After(pause):
		return nil
	}
}

// ended returns the error of attempts whose context has ended.
func (a *attempts) ended(own error) error {
	s := status.FromContextError(own)
	if s.Code() != codes.DeadlineExceeded || a.lastLoss == nil {
		return newError(s, own)
	}
	message := fmt.Sprintf("the %s has reached its deadline; its connection was lost before: %s", a.what, a.lastLoss.Message)
	return newError(status.New(codes.DeadlineExceeded, message), own, a.lastLoss)
}

// isTemporary reports whether an attempt that ended so may succeed later.
func (e *Error) isTemporary() bool {
	switch e.status.Code() {
	case codes.Unavailable:
		return true
	case codes.Internal, codes.Unknown, codes.Canceled:
		// Behind a proxy, a connection that was reset looks so. Till's own errors have a code.
		return e.Code == ""
	}
	return e.Code != "" && e.RetryAfter > 0
}

func jitter(pause time.Duration, low, high float64) time.Duration {
	return time.Duration(float64(pause) * (low + (high-low)*rand.Float64()))
}
