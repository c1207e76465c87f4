package till.client;

import io.grpc.CallOptions;
import io.grpc.Channel;
import java.util.concurrent.CompletableFuture;
import till.v1.CreateWebhookRequest;
import till.v1.CreateWebhookResponse;
import till.v1.DeleteWebhookRequest;
import till.v1.DeleteWebhookResponse;
import till.v1.GetWebhookRequest;
import till.v1.GetWebhookResponse;
import till.v1.ListDeliveriesRequest;
import till.v1.ListDeliveriesResponse;
import till.v1.ListWebhooksRequest;
import till.v1.ListWebhooksResponse;
import till.v1.RedeliverEventRequest;
import till.v1.RedeliverEventResponse;
import till.v1.ReplayEventsRequest;
import till.v1.ReplayEventsResponse;
import till.v1.RotateSecretRequest;
import till.v1.RotateSecretResponse;
import till.v1.TestWebhookRequest;
import till.v1.TestWebhookResponse;
import till.v1.UpdateWebhookRequest;
import till.v1.UpdateWebhookResponse;
import till.v1.WebhookDelivery;
import till.v1.WebhookServiceGrpc;

/**
 * Calls that manage webhooks: Till sends the user's events to a URL, signed. Scope of each: webhooks.
 *
 * <p>{@code createWebhook}, {@code rotateSecret}, {@code testWebhook}, {@code redeliverEvent} and {@code replayEvents} act
 * each time they are called. After a lost connection or a deadline, read the webhook or its deliveries before you repeat
 * them.
 *
 * <p>A method throws a {@link TillException}, or a {@link java.util.concurrent.CancellationException} if its caller cancels
 * the call. The future of its {@code Async} form fails with the same; cancelling this future cancels the call. {@code
 * withDeadlineAfter} and the other options of gRPC's stubs return a changed copy.
 */
public final class Webhooks extends Calls<Webhooks> {
    Webhooks(Channel channel, CallOptions options) {
        super(channel, options);
    }

    @Override
    protected Webhooks build(Channel channel, CallOptions options) {
        return new Webhooks(channel, options);
    }

    /**
     * Creates a webhook. It receives events that happen from now on.
     *
     * <p>INVALID_REQUEST (E1): the URL is not permitted. TOO_MANY (E7): the user has 16 webhooks. After a lost reply there
     * may be a webhook whose secret nobody knows: {@link #listWebhooks} shows it.
     *
     * @param request the request
     * @return the new webhook, and its secret
     */
    public WebhookSecret createWebhook(CreateWebhookRequest request) {
        return WebhookSecret.of(call(WebhookServiceGrpc.getCreateWebhookMethod(), request));
    }

    /**
     * Starts {@link #createWebhook}, and does not wait.
     *
     * @param request the request
     * @return the response, later
     */
    public CompletableFuture<WebhookSecret> createWebhookAsync(CreateWebhookRequest request) {
        return start(WebhookServiceGrpc.getCreateWebhookMethod(), request, WebhookSecret::of);
    }

    /**
     * Reads a webhook.
     *
     * @param request the request
     * @return the webhook
     */
    public GetWebhookResponse getWebhook(GetWebhookRequest request) {
        return call(WebhookServiceGrpc.getGetWebhookMethod(), request);
    }

    /**
     * Starts {@link #getWebhook}, and does not wait.
     *
     * @param request the request
     * @return the response, later
     */
    public CompletableFuture<GetWebhookResponse> getWebhookAsync(GetWebhookRequest request) {
        return start(WebhookServiceGrpc.getGetWebhookMethod(), request);
    }

    /**
     * Lists the user's webhooks, oldest first; without those of single invoices.
     *
     * @param request the request
     * @return the webhooks
     */
    public ListWebhooksResponse listWebhooks(ListWebhooksRequest request) {
        return call(WebhookServiceGrpc.getListWebhooksMethod(), request);
    }

    /**
     * Starts {@link #listWebhooks}, and does not wait.
     *
     * @param request the request
     * @return the response, later
     */
    public CompletableFuture<ListWebhooksResponse> listWebhooksAsync(ListWebhooksRequest request) {
        return start(WebhookServiceGrpc.getListWebhooksMethod(), request);
    }

    /**
     * Changes the fields that the request has, or enables a webhook again: it then receives the events that have waited.
     * Idempotent.
     *
     * <p>An {@code EventTypes} without types is every type.
     *
     * @param request the request
     * @return the changed webhook
     */
    public UpdateWebhookResponse updateWebhook(UpdateWebhookRequest request) {
        return call(WebhookServiceGrpc.getUpdateWebhookMethod(), request);
    }

    /**
     * Starts {@link #updateWebhook}, and does not wait.
     *
     * @param request the request
     * @return the response, later
     */
    public CompletableFuture<UpdateWebhookResponse> updateWebhookAsync(UpdateWebhookRequest request) {
        return start(WebhookServiceGrpc.getUpdateWebhookMethod(), request);
    }

    /**
     * Deletes a webhook and its deliveries.
     *
     * <p>A call that is repeated after a lost reply may fail with NOT_FOUND (E2).
     *
     * @param request the request
     * @return an empty response
     */
    public DeleteWebhookResponse deleteWebhook(DeleteWebhookRequest request) {
        return call(WebhookServiceGrpc.getDeleteWebhookMethod(), request);
    }

    /**
     * Starts {@link #deleteWebhook}, and does not wait.
     *
     * @param request the request
     * @return the response, later
     */
    public CompletableFuture<DeleteWebhookResponse> deleteWebhookAsync(DeleteWebhookRequest request) {
        return start(WebhookServiceGrpc.getDeleteWebhookMethod(), request);
    }

    /**
     * Replaces the secret of a webhook. For 24 hours the old and the new secret both sign.
     *
     * @param request the request
     * @return the webhook, and its new secret
     */
    public WebhookSecret rotateSecret(RotateSecretRequest request) {
        return WebhookSecret.of(call(WebhookServiceGrpc.getRotateSecretMethod(), request));
    }

    /**
     * Starts {@link #rotateSecret}, and does not wait.
     *
     * @param request the request
     * @return the response, later
     */
    public CompletableFuture<WebhookSecret> rotateSecretAsync(RotateSecretRequest request) {
        return start(WebhookServiceGrpc.getRotateSecretMethod(), request, WebhookSecret::of);
    }

    /**
     * Sends an event of type "ping" to a webhook now.
     *
     * <p>TOO_MANY (E7): too many tests; retry later.
     *
     * @param request the request
     * @return how the attempt ended; the test succeeded if its error is empty
     */
    public TestWebhookResponse testWebhook(TestWebhookRequest request) {
        return call(WebhookServiceGrpc.getTestWebhookMethod(), request);
    }

    /**
     * Starts {@link #testWebhook}, and does not wait.
     *
     * @param request the request
     * @return the response, later
     */
    public CompletableFuture<TestWebhookResponse> testWebhookAsync(TestWebhookRequest request) {
        return start(WebhookServiceGrpc.getTestWebhookMethod(), request);
    }

    /**
     * Reads a page of deliveries, the newest event first.
     *
     * @param request the request
     * @return the deliveries, and the token of the next page
     */
    public ListDeliveriesResponse listDeliveries(ListDeliveriesRequest request) {
        return call(WebhookServiceGrpc.getListDeliveriesMethod(), request);
    }

    /**
     * Starts {@link #listDeliveries}, and does not wait.
     *
     * @param request the request
     * @return the response, later
     */
    public CompletableFuture<ListDeliveriesResponse> listDeliveriesAsync(ListDeliveriesRequest request) {
        return start(WebhookServiceGrpc.getListDeliveriesMethod(), request);
    }

    /**
     * Lists the deliveries of a webhook over all pages, the newest event first: all that are pending or dead, and some of the
     * last that succeeded.
     *
     * @param request the request; its page token, if any, is that of the first page
     * @return the deliveries; nothing is fetched yet
     */
    public PagedList<WebhookDelivery> deliveries(ListDeliveriesRequest request) {
        Pages.Source<WebhookDelivery> pages = (token, deadline) -> withDeadline(deadline)
                .start(
                        WebhookServiceGrpc.getListDeliveriesMethod(),
                        request.toBuilder().setPageToken(token).build(),
                        page -> new Pages.Page<>(page.getDeliveriesList(), page.getNextPageToken()));
        return new PagedList<>(pages, request.getPageToken(), getCallOptions().getDeadline(), null);
    }

    /**
     * Attempts the delivery of an event immediately, whatever its state.
     *
     * <p>EVENTS_GONE (E16): the event was removed.
     *
     * @param request the request
     * @return the delivery
     */
    public RedeliverEventResponse redeliverEvent(RedeliverEventRequest request) {
        return call(WebhookServiceGrpc.getRedeliverEventMethod(), request);
    }

    /**
     * Starts {@link #redeliverEvent}, and does not wait.
     *
     * @param request the request
     * @return the response, later
     */
    public CompletableFuture<RedeliverEventResponse> redeliverEventAsync(RedeliverEventRequest request) {
        return start(WebhookServiceGrpc.getRedeliverEventMethod(), request);
    }

    /**
     * Sends all events after a sequence again, in order, then new ones.
     *
     * <p>EVENTS_GONE (E16): events after the sequence were removed.
     *
     * @param request the request
     * @return the webhook
     */
    public ReplayEventsResponse replayEvents(ReplayEventsRequest request) {
        return call(WebhookServiceGrpc.getReplayEventsMethod(), request);
    }

    /**
     * Starts {@link #replayEvents}, and does not wait.
     *
     * @param request the request
     * @return the response, later
     */
    public CompletableFuture<ReplayEventsResponse> replayEventsAsync(ReplayEventsRequest request) {
        return start(WebhookServiceGrpc.getReplayEventsMethod(), request);
    }
}
