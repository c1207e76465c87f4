package main

import (
	"context"
	"encoding/json"
	"iter"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"example.com/lightning-till/clients/go/till"
	tillv1 "example.com/lightning-till/clients/go/till/v1"
)

func (a *agent) list(ctx context.Context, client *till.Client, r request) error {
	var message tillv1.ListInvoicesRequest
	if err := protojson.Unmarshal(r.Request, &message); err != nil {
		return err
	}
	return take(a, r, client.List(ctx, &message, till.PageTimeout(r.timeout())), "invoice")
}

func (a *agent) deliveries(ctx context.Context, client *till.Client, r request) error {
	var message tillv1.ListDeliveriesRequest
	if err := protojson.Unmarshal(r.Request, &message); err != nil {
		return err
	}
	return take(a, r, client.Deliveries(ctx, &message, till.PageTimeout(r.timeout())), "delivery")
}

// take reports the items of a list by a name, up to the limit.
func take[Item proto.Message](a *agent, r request, items iter.Seq2[Item, error], name string) error {
	taken := 0
	for item, err := range items {
		if err != nil {
			return err
		}
		text, err := protojson.Marshal(item)
		if err != nil {
			return err
		}
		event, err := json.Marshal(map[string]json.RawMessage{name: text})
		if err != nil {
			return err
		}
		a.say(answer{ID: r.ID, Event: event})
		if taken++; taken == r.Limit {
			break
		}
	}
	return nil
}
