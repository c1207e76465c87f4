package main

import (
	"context"

	"google.golang.org/protobuf/encoding/protojson"

	"example.com/lightning-till/clients/go/till"
	tillv1 "example.com/lightning-till/clients/go/till/v1"
)

func (a *agent) watchOptions(r request) (options []till.WatchOption) {
	if r.WaitForReady {
		options = append(options, till.WaitForReady())
	}
	if r.Connection {
		options = append(options, till.OnConnection(func(c till.Connection) {
			a.say(answer{ID: r.ID, Connection: &connection{c.Lost, c.Attempt, plain(c.Err)}})
		}))
	}
	return options
}

func (a *agent) events(ctx context.Context, client *till.Client, r request) error {
	var message tillv1.WatchEventsRequest
	if err := protojson.Unmarshal(r.Request, &message); err != nil {
		return err
	}
	options := eventsOptions(&message)
	for _, option := range a.watchOptions(r) {
		options = append(options, option)
	}
	taken := 0
	for event, err := range client.Events(ctx, options...) {
		if err != nil {
			return err
		}
		if err := a.event(r, event); err != nil {
			return err
		}
		if taken++; taken == r.Limit {
			break
		}
	}
	return nil
}

// eventsOptions returns the options that make the client send this request.
func eventsOptions(message *tillv1.WatchEventsRequest) (options []till.EventsOption) {
	switch start := message.Start.(type) {
	case *tillv1.WatchEventsRequest_After:
		options = append(options, till.After(start.After))
	case *tillv1.WatchEventsRequest_Cursor:
		options = append(options, till.AfterCursor(start.Cursor))
	case *tillv1.WatchEventsRequest_From:
		// The client's default is now.
		if start.From == tillv1.LogPosition_LOG_POSITION_BEGINNING {
			options = append(options, till.FromBeginning())
		}
	}
	if message.AllUsers {
		options = append(options, till.AllUsers())
	}
	if types := message.Filter.GetTypes(); len(types) > 0 {
		options = append(options, till.EventTypes(types...))
	}
	if message.Filter != nil && message.Filter.MetadataType != nil {
		options = append(options, till.MetadataType(*message.Filter.MetadataType))
	}
	return options
}
