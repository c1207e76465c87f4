package till

import (
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	tillv1 "example.com/lightning-till/clients/go/till/v1"
)

// Webhooks is gRPC's generated client, but for the calls that return a secret.
//
// CreateWebhook, RotateSecret, TestWebhook, RedeliverEvent and ReplayEvents act each time they are called: after an error
// with codes.Unavailable, read the webhook or its deliveries before you call again. TestWebhook returns a failed attempt
// as a response, not as an error.
type Webhooks struct {
	tillv1.WebhookServiceClient
}

// WebhookSecret is a webhook with its new secret. Format and LogValue leave the secret out.
type WebhookSecret struct {
	Webhook *tillv1.Webhook
	// Secret signs the webhook's events: "whsec_" and base64, as libraries of Standard Webhooks take it. No other call
	// returns it.
	Secret string
}

// CreateWebhook creates a webhook. It receives events that happen from now on.
//
// If the reply is lost, there may be a webhook whose secret nobody knows: ListWebhooks shows it.
func (w Webhooks) CreateWebhook(ctx context.Context, request *tillv1.CreateWebhookRequest, opts ...grpc.CallOption) (*WebhookSecret, error) {
	response, err := w.WebhookServiceClient.CreateWebhook(ctx, request, opts...)
	if err != nil {
		return nil, err
	}
	return &WebhookSecret{response.Webhook, response.Secret}, nil
}

// RotateSecret replaces the secret of a webhook. For 24 hours the old and the new secret both sign.
func (w Webhooks) RotateSecret(ctx context.Context, request *tillv1.RotateSecretRequest, opts ...grpc.CallOption) (*WebhookSecret, error) {
	response, err := w.WebhookServiceClient.RotateSecret(ctx, request, opts...)
	if err != nil {
		return nil, err
	}
	return &WebhookSecret{response.Webhook, response.Secret}, nil
}

// Format prints the webhook, whatever the verb.
func (s WebhookSecret) Format(state fmt.State, _ rune) {
	io.WriteString(state, s.Webhook.String())
}

// LogValue is the webhook.
func (s WebhookSecret) LogValue() slog.Value {
	return slog.StringValue(s.Webhook.String())
}

// Deliveries yields the deliveries of a webhook, the newest event first: all that are pending or dead, and some of the
// last that succeeded. It fetches pages as [Client.List] does.
//
//	for delivery, err := range client.Deliveries(ctx, &tillv1.ListDeliveriesRequest{Id: id}) {
//		if err != nil {
//			return err
//		}
//		show(delivery)
//	}
func (c *Client) Deliveries(
	ctx context.Context, request *tillv1.ListDeliveriesRequest, opts ...ListOption,
) iter.Seq2[*tillv1.WebhookDelivery, error] {
	first := &tillv1.ListDeliveriesRequest{}
	proto.Merge(first, request)
	return eachItem(ctx, c, opts, first.PageToken, func(ctx context.Context, token string) ([]*tillv1.WebhookDelivery, string, error) {
		request := proto.CloneOf(first)
		request.PageToken = token
		page, err := c.Webhooks.ListDeliveries(ctx, request)
		return page.GetDeliveries(), page.GetNextPageToken(), err
	})
}
