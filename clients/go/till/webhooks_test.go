package till_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"example.com/lightning-till/clients/go/till"
	tillv1 "example.com/lightning-till/clients/go/till/v1"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// hooks is a Till with two pages of deliveries, whose other calls fail once.
type hooks struct {
	tillv1.UnimplementedWebhookServiceServer
	failure error

	deliveries []*tillv1.ListDeliveriesRequest
}

func (h *hooks) fails() (err error) {
	err, h.failure = h.failure, nil
	return err
}

func (h *hooks) CreateWebhook(_ context.Context, request *tillv1.CreateWebhookRequest) (*tillv1.CreateWebhookResponse, error) {
	webhook := &tillv1.Webhook{Id: "1", Url: request.Url, Types: request.Types}
	return &tillv1.CreateWebhookResponse{Webhook: webhook, Secret: secret}, h.fails()
}

func (h *hooks) RotateSecret(_ context.Context, request *tillv1.RotateSecretRequest) (*tillv1.RotateSecretResponse, error) {
	return &tillv1.RotateSecretResponse{Webhook: &tillv1.Webhook{Id: request.Id}, Secret: secret}, h.fails()
}

func (h *hooks) ListDeliveries(_ context.Context, request *tillv1.ListDeliveriesRequest) (*tillv1.ListDeliveriesResponse, error) {
	h.deliveries = append(h.deliveries, request)
	return map[string]*tillv1.ListDeliveriesResponse{
		"":  {Deliveries: []*tillv1.WebhookDelivery{{EventId: "evt_3"}, {EventId: "evt_2"}}, NextPageToken: "b"},
		"b": {Deliveries: []*tillv1.WebhookDelivery{{EventId: "evt_1"}}},
	}[request.PageToken], nil
}

func TestNewSecretIsNotPrinted(t *testing.T) {
	client := serve(t, &hooks{})
	created, err := client.Webhooks.CreateWebhook(context.Background(), &tillv1.CreateWebhookRequest{
		Url: "https://shop.example/till", Types: []string{"invoice.paid"},
	})
	if err != nil || created.Secret != secret || created.Webhook.Url != "https://shop.example/till" {
		t.Fatalf("the new webhook is %v, %v", created, err)
	}
	rotated, err := client.Webhooks.RotateSecret(context.Background(), &tillv1.RotateSecretRequest{Id: "2"})
	if err != nil || rotated.Secret != secret || rotated.Webhook.Id != "2" {
		t.Fatalf("the new secret has %v, %v", rotated, err)
	}
	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("created", "webhook", created)
	slog.New(slog.NewTextHandler(&logged, nil)).Info("created", "webhook", *created)
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&logged, format, created)
		fmt.Fprintf(&logged, format, *created)
	}
	if text := logged.String(); strings.Contains(text, "whsec") || strings.Contains(text, fmt.Sprintf("%x", "whsec")) {
		t.Errorf("the secret was printed: %s", text)
	}
	if text := fmt.Sprint(created); !strings.Contains(text, "shop.example") {
		t.Errorf("the webhook was printed as %q", text)
	}
}

func TestCallThatMakesAWebhookActIsSentOnce(t *testing.T) {
	client := serve(t, &hooks{failure: status.Error(codes.Unavailable, "")})
	created, err := client.Webhooks.CreateWebhook(context.Background(), nil)
	if created != nil || status.Code(err) != codes.Unavailable {
		t.Errorf("the lost call gave %v, %v", created, err)
	}
	client = serve(t, &hooks{failure: refusal(t, codes.NotFound, till.NotFound)})
	if rotated, err := client.Webhooks.RotateSecret(context.Background(), nil); rotated != nil || !errors.Is(err, till.NotFound) {
		t.Errorf("the refused call gave %v, %v", rotated, err)
	}
}

func TestDeliveriesOfAllPages(t *testing.T) {
	h := &hooks{}
	request := &tillv1.ListDeliveriesRequest{Id: "1", State: tillv1.DeliveryState_DELIVERY_STATE_DEAD, PageSize: 2}
	var ids []string
	for delivery, err := range serve(t, h).Deliveries(context.Background(), request) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, delivery.EventId)
	}
	if want := []string{"evt_3", "evt_2", "evt_1"}; !slices.Equal(ids, want) {
		t.Errorf("the list has %v, want %v", ids, want)
	}
	for i, token := range []string{"", "b"} {
		want := proto.CloneOf(request)
		want.PageToken = token
		if !proto.Equal(h.deliveries[i], want) {
			t.Errorf("request %d was %v, want %v", i, h.deliveries[i], want)
		}
	}
}
