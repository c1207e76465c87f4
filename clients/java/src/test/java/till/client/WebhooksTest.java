package till.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Status;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import till.v1.CreateWebhookRequest;
import till.v1.DeliveryState;
import till.v1.ListDeliveriesRequest;
import till.v1.RotateSecretRequest;
import till.v1.WebhookDelivery;

@Timeout(20)
class WebhooksTest {
    private static final CreateWebhookRequest CREATE = CreateWebhookRequest.newBuilder()
            .setUrl("https://shop.example/till")
            .addTypes("invoice.paid")
            .build();
    private static final RotateSecretRequest ROTATE = RotateSecretRequest.newBuilder().setId("2").build();

    private FakeTill fake;
    private Webhooks webhooks;

    @BeforeEach
    void start() throws IOException {
        fake = new FakeTill();
        webhooks = fake.client().webhooks();
    }

    @AfterEach
    void stop() {
        fake.close();
    }

    @Test
    void aNewSecretIsNotPrinted() throws Exception {
        var created = webhooks.createWebhook(CREATE);
        assertEquals(CREATE.getUrl(), created.webhook().getUrl());
        assertTrue(created.toString().contains(CREATE.getUrl()), created.toString());
        var rotated = FakeTill.get(webhooks.rotateSecretAsync(ROTATE));
        assertEquals("2", rotated.webhook().getId());
        for (WebhookSecret each : List.of(
                created, rotated, webhooks.rotateSecret(ROTATE), FakeTill.get(webhooks.createWebhookAsync(CREATE)))) {
            assertEquals(FakeWebhooks.SECRET, each.secret());
            assertFalse(each.toString().contains("whsec_"), each.toString());
        }
    }

    @Test
    void aCallThatMakesAWebhookActIsSentOnce() {
        fake.webhooks.failures.add(Status.UNAVAILABLE);
        var error = assertThrows(TillException.class, () -> webhooks.createWebhook(CREATE));
        assertEquals(Status.Code.UNAVAILABLE, error.getStatus().getCode());
        fake.webhooks.failures.add(Status.UNAVAILABLE);
        var failed = assertThrows(ExecutionException.class, () -> FakeTill.get(webhooks.rotateSecretAsync(ROTATE)));
        assertEquals(TillException.class, failed.getCause().getClass());
    }

    @Test
    void deliveriesHaveAllPagesOfOneRequest() {
        var dead = ListDeliveriesRequest.newBuilder()
                .setId("1")
                .setState(DeliveryState.DELIVERY_STATE_DEAD)
                .setPageSize(2)
                .build();
        var ids = webhooks.deliveries(dead).stream().map(WebhookDelivery::getEventId);
        assertEquals(List.of("evt_3", "evt_2", "evt_1"), ids.toList());
        var requests = Stream.of("", "b").map(token -> dead.toBuilder().setPageToken(token).build());
        assertEquals(requests.toList(), List.copyOf(fake.webhooks.pages));
    }
}
