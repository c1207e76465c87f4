package till.client;

import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import java.util.Queue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.LinkedBlockingQueue;
import till.v1.CreateWebhookRequest;
import till.v1.CreateWebhookResponse;
import till.v1.ListDeliveriesRequest;
import till.v1.ListDeliveriesResponse;
import till.v1.RotateSecretRequest;
import till.v1.RotateSecretResponse;
import till.v1.Webhook;
import till.v1.WebhookDelivery;
import till.v1.WebhookServiceGrpc;

/** Webhooks in this process, with two pages of deliveries. */
final class FakeWebhooks extends WebhookServiceGrpc.WebhookServiceImplBase {
    static final String SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    /** The errors of the next calls. */
    final Queue<Status> failures = new ConcurrentLinkedQueue<>();
    /** The requests for pages. */
    final BlockingQueue<ListDeliveriesRequest> pages = new LinkedBlockingQueue<>();

    @Override
    public void createWebhook(CreateWebhookRequest request, StreamObserver<CreateWebhookResponse> responses) {
        var webhook = Webhook.newBuilder().setId("1").setUrl(request.getUrl()).addAllTypes(request.getTypesList());
        answer(responses, CreateWebhookResponse.newBuilder().setWebhook(webhook).setSecret(SECRET).build());
    }

    @Override
    public void rotateSecret(RotateSecretRequest request, StreamObserver<RotateSecretResponse> responses) {
        var webhook = Webhook.newBuilder().setId(request.getId());
        answer(responses, RotateSecretResponse.newBuilder().setWebhook(webhook).setSecret(SECRET).build());
    }

    @Override
    public void listDeliveries(ListDeliveriesRequest request, StreamObserver<ListDeliveriesResponse> responses) {
        pages.add(request);
        var page = ListDeliveriesResponse.newBuilder();
        if (request.getPageToken().isEmpty()) {
            page.addDeliveries(delivery("evt_3")).addDeliveries(delivery("evt_2")).setNextPageToken("b");
        } else {
            page.addDeliveries(delivery("evt_1"));
        }
        answer(responses, page.build());
    }

    private static WebhookDelivery delivery(String eventId) {
        return WebhookDelivery.newBuilder().setEventId(eventId).build();
    }

    private <R> void answer(StreamObserver<R> responses, R response) {
        Status failure = failures.poll();
        if (failure != null) {
            responses.onError(failure.asRuntimeException());
            return;
        }
        responses.onNext(response);
        responses.onCompleted();
    }
}
