//! Secrets of webhooks and keys.

use std::fmt::Debug;

use till_client::v1::{
    CreateInvoiceResponse, CreateKeyResponse, CreateWebhookResponse, InvoiceWebhook, Key, RotateSecretResponse, Webhook,
};

fn assert_hidden(message: &impl Debug) {
    for text in [format!("{message:?}"), format!("{message:#?}")] {
        assert!(text.contains("one") && text.contains("redacted"), "{text}");
        assert!(!text.contains("whsec_"), "{text}");
    }
}

#[test]
fn debug_does_not_show_a_secret() {
    let id = "one".to_owned();
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
    let key = Some(Key {
        id: id.clone(),
        ..Default::default()
    });
    let webhook = Some(Webhook {
        id: id.clone(),
        ..Default::default()
    });
    let invoice_webhook = Some(InvoiceWebhook {
        id,
        secret: secret.clone(),
    });

    assert_hidden(&CreateKeyResponse {
        key,
        token: secret.clone(),
    });
    assert_hidden(&CreateWebhookResponse {
        webhook: webhook.clone(),
        secret: secret.clone(),
    });
    assert_hidden(&RotateSecretResponse { webhook, secret });
    assert_hidden(&CreateInvoiceResponse {
        webhook: invoice_webhook,
        ..Default::default()
    });
}
