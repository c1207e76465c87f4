package till.client;

import till.v1.CreateWebhookResponse;
import till.v1.RotateSecretResponse;
import till.v1.Webhook;

/**
 * A webhook with its new secret, which no other call returns. {@code toString} leaves the secret out.
 *
 * @param webhook the webhook
 * @param secret signs the webhook's events: "whsec_" and base64, as libraries of Standard Webhooks take it
 */
public record WebhookSecret(Webhook webhook, String secret) {
    static WebhookSecret of(CreateWebhookResponse response) {
        return new WebhookSecret(response.getWebhook(), response.getSecret());
    }

    static WebhookSecret of(RotateSecretResponse response) {
        return new WebhookSecret(response.getWebhook(), response.getSecret());
    }

    @Override
    public String toString() {
        return "WebhookSecret[webhook=" + webhook + "]";
    }
}
