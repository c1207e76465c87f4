package till.conformance;

import com.google.gson.JsonObject;
import com.google.protobuf.Message;
import java.io.IOException;
import till.client.WebhookSecret;
import till.client.Webhooks;
import till.v1.CreateWebhookRequest;
import till.v1.CreateWebhookResponse;
import till.v1.DeleteWebhookRequest;
import till.v1.GetWebhookRequest;
import till.v1.ListWebhooksRequest;
import till.v1.RedeliverEventRequest;
import till.v1.ReplayEventsRequest;
import till.v1.RotateSecretRequest;
import till.v1.TestWebhookRequest;
import till.v1.UpdateWebhookRequest;

/** The calls of till.v1.WebhookService. */
final class WebhookCalls {
    private WebhookCalls() {}

    static Message call(Webhooks calls, String method, JsonObject request) throws IOException {
        return switch (method) {
            case "CreateWebhook" -> response(Agent.call(
                    request, CreateWebhookRequest.getDefaultInstance(), calls::createWebhook, calls::createWebhookAsync));
            case "RotateSecret" -> response(Agent.call(
                    request, RotateSecretRequest.getDefaultInstance(), calls::rotateSecret, calls::rotateSecretAsync));
            case "GetWebhook" ->
                Agent.call(request, GetWebhookRequest.getDefaultInstance(), calls::getWebhook, calls::getWebhookAsync);
            case "ListWebhooks" -> Agent.call(
                    request, ListWebhooksRequest.getDefaultInstance(), calls::listWebhooks, calls::listWebhooksAsync);
            case "UpdateWebhook" -> Agent.call(
                    request, UpdateWebhookRequest.getDefaultInstance(), calls::updateWebhook, calls::updateWebhookAsync);
            case "DeleteWebhook" -> Agent.call(
                    request, DeleteWebhookRequest.getDefaultInstance(), calls::deleteWebhook, calls::deleteWebhookAsync);
            case "TestWebhook" ->
                Agent.call(request, TestWebhookRequest.getDefaultInstance(), calls::testWebhook, calls::testWebhookAsync);
            case "RedeliverEvent" -> Agent.call(
                    request, RedeliverEventRequest.getDefaultInstance(), calls::redeliverEvent, calls::redeliverEventAsync);
            case "ReplayEvents" -> Agent.call(
                    request, ReplayEventsRequest.getDefaultInstance(), calls::replayEvents, calls::replayEventsAsync);
            default -> throw new IllegalArgumentException("no such method: " + method);
        };
    }

    /** Returns what the driver reads. The text form goes to the log, which the driver searches for secrets. */
    private static Message response(WebhookSecret created) {
        System.err.println(created);
        return CreateWebhookResponse.newBuilder().setWebhook(created.webhook()).setSecret(created.secret()).build();
    }
}
