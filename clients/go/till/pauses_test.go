//go:build go1.25

package till_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"example.com/lightning-till/clients/go/till"
	tillv1 "example.com/lightning-till/clients/go/till/v1"
)

// The conformance suite cannot see the length of each pause.

func TestPausesDoubleAndStartAgainAfterAMessage(t *testing.T) {
	away := fails(status.Error(codes.Unavailable, "away"))
	reset := fails(status.Error(codes.Internal, "reset"))
	got := pauses(t, sends(unpaid), away, reset, away, away, away, away, sends(unpaid), sends(unpaid), away, sends(paid))

	for i, ms := range []time.Duration{100, 200, 400, 800, 1500, 1500, 1500, 100, 100, 200} {
		if longest := ms * time.Millisecond; got[i] < longest/2 || got[i] > longest {
			t.Errorf("pause %d took %v, want %v to %v", i, got[i], longest/2, longest)
		}
	}
	if again := pauses(t, sends(unpaid), away, away, sends(paid)); slices.Equal(again, got[:len(again)]) {
		t.Errorf("the pauses have no jitter: twice %v", again)
	}
}

func TestPauseIsAtLeastWhatTillAsksFor(t *testing.T) {
	busy := fails(refusal(t, codes.ResourceExhausted, "E7", &errdetails.RetryInfo{RetryDelay: durationpb.New(10 * time.Second)}))
	got := pauses(t, sends(unpaid), busy, busy, sends(paid))

	for _, pause := range got[1:] {
		if pause < 10*time.Second || pause > 15*time.Second {
			t.Errorf("the pause took %v, want 10s to 15s", pause)
		}
	}
}

func TestListRetriesAPageForAsLongAsItMay(t *testing.T) {
	for _, test := range []struct {
		longest time.Duration
		code    codes.Code
		options []till.ListOption
	}{
		{30 * time.Second, codes.Unavailable, nil},
		{5 * time.Minute, codes.DeadlineExceeded, []till.ListOption{till.PageTimeout(5 * time.Minute)}},
	} {
		synctest.Test(t, func(t *testing.T) {
			client := serve(t, &ledger{failure: status.Error(codes.Unavailable, "away")})
			var since time.Time
			var last error
			for _, err := range client.List(t.Context(), nil, test.options...) {
				if last = err; err == nil {
					// The caller's time does not count.
					time.Sleep(time.Hour)
					since = time.Now()
				}
			}
			took := time.Since(since)
			if status.Code(last) != test.code || !strings.Contains(last.Error(), "away") {
				t.Errorf("the list failed with %v", last)
			}
			if took < test.longest-2*time.Second || took > test.longest {
				t.Errorf("the page was retried for %v, want %v", took, test.longest)
			}
		})
	}
}

// pauses returns the times between the attempts of a watch that gets these answers, the last of them PAID.
func pauses(t *testing.T, answers ...func(stream) error) (between []time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &server{answers: answers}
		var states []tillv1.InvoiceStatus
		for invoice, err := range serve(t, s).Watch(t.Context(), "id") {
			if err != nil {
				t.Fatal(err)
			}
			states = append(states, invoice.Status)
		}
		if want := []tillv1.InvoiceStatus{unpaid, paid}; !slices.Equal(states, want) {
			t.Errorf("got %v, want %v", states, want)
		}
		for i := range s.attempts[1:] {
			between = append(between, s.attempts[i+1].Sub(s.attempts[i]))
		}
	})
	return between
}
