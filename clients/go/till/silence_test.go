//go:build go1.25

package till_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"example.com/lightning-till/clients/go/till"
)

func TestEventsReconnectAfterSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := func(to eventStream) error {
			for _, response := range []uint64{1, 2} {
				time.Sleep(40 * time.Second)
				if err := to.Send(batch(response, response)); err != nil {
					return err
				}
			}
			<-to.Context().Done()
			return nil
		}
		end := refusal(t, codes.NotFound, till.NotFound)
		client := serve(t, &eventLog{answers: []func(eventStream) error{silent, sendsAll(end, batch(3, 3))}})
		var lost till.Connection
		var lostAt, lastAt time.Time
		report := till.OnConnection(func(c till.Connection) {
			if c.Lost {
				lost, lostAt = c, time.Now()
			}
		})
		var got []uint64
		for event, err := range client.Events(t.Context(), till.After(0), report) {
			if err != nil {
				break
			}
			got = append(got, event.Sequence)
			// The time that the caller takes does not count.
			time.Sleep(time.Hour)
			if event.Sequence == 2 {
				lastAt = time.Now()
			}
		}
		if !slices.Equal(got, []uint64{1, 2, 3}) {
			t.Errorf("got the events %v", got)
		}
		if lost.Attempt != 1 || lost.Err.Error() != "till: Unavailable: no response for 45 s" {
			t.Errorf("the loss was %v", lost)
		}
		if silence := lostAt.Sub(lastAt); silence != 45*time.Second {
			t.Errorf("the connection was lost after %v", silence)
		}
	})
}
