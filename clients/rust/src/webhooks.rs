//! Webhooks: where Till sends events.

use std::fmt;

use tonic::{IntoRequest, Request, Status};

use crate::client::Client;
use crate::connection::Connection;
use crate::error::Error;
use crate::items::Items;
use crate::list::{Paged, list};
use crate::v1::webhook_service_client::WebhookServiceClient;
use crate::v1::{
    CreateKeyResponse, CreateWebhookRequest, CreateWebhookResponse, DeleteWebhookRequest, DeleteWebhookResponse,
    GetWebhookRequest, GetWebhookResponse, InvoiceWebhook, ListDeliveriesRequest, ListDeliveriesResponse,
    ListWebhooksRequest, ListWebhooksResponse, RedeliverEventRequest, RedeliverEventResponse, ReplayEventsRequest,
    ReplayEventsResponse, RotateSecretRequest, RotateSecretResponse, TestWebhookRequest, TestWebhookResponse,
    UpdateWebhookRequest, UpdateWebhookResponse, WebhookDelivery,
};

/// Webhooks, which send events to a URL. The key needs the scope webhooks.
impl Client {
    /// Create a webhook: from now on Till sends events to its URL. The response has the secret, which `Debug` hides.
    ///
    /// # Errors
    ///
    /// Among others, [`InvalidRequest`](crate::ErrorCode::InvalidRequest): the URL is not permitted. After an error
    /// without a code the webhook may exist.
    pub async fn create_webhook(
        &self,
        request: impl IntoRequest<CreateWebhookRequest>,
    ) -> Result<CreateWebhookResponse, Error> {
        Ok(self.webhooks().create_webhook(request).await?.into_inner())
    }

    /// Return a webhook.
    ///
    /// # Errors
    ///
    /// Among others, [`NotFound`](crate::ErrorCode::NotFound).
    pub async fn get_webhook(&self, request: impl IntoRequest<GetWebhookRequest>) -> Result<GetWebhookResponse, Error> {
        Ok(self.webhooks().get_webhook(request).await?.into_inner())
    }

    /// Return the webhooks of the key's user, the oldest first.
    ///
    /// # Errors
    ///
    /// Among others, [`PermissionDenied`](crate::ErrorCode::PermissionDenied): the key lacks the scope.
    pub async fn list_webhooks(
        &self,
        request: impl IntoRequest<ListWebhooksRequest>,
    ) -> Result<ListWebhooksResponse, Error> {
        Ok(self.webhooks().list_webhooks(request).await?.into_inner())
    }

    /// Change what the request names: the URL, the types of events, or whether events are sent. A webhook that is enabled
    /// again receives the events that have waited.
    ///
    /// # Errors
    ///
    /// Among others, [`InvalidRequest`](crate::ErrorCode::InvalidRequest): the URL is not permitted.
    pub async fn update_webhook(
        &self,
        request: impl IntoRequest<UpdateWebhookRequest>,
    ) -> Result<UpdateWebhookResponse, Error> {
        Ok(self.webhooks().update_webhook(request).await?.into_inner())
    }

    /// Delete a webhook and its deliveries.
    ///
    /// # Errors
    ///
    /// Among others, [`NotFound`](crate::ErrorCode::NotFound), also after an attempt whose response was lost.
    pub async fn delete_webhook(
        &self,
        request: impl IntoRequest<DeleteWebhookRequest>,
    ) -> Result<DeleteWebhookResponse, Error> {
        Ok(self.webhooks().delete_webhook(request).await?.into_inner())
    }

    /// Replace the secret of a webhook. For 24 hours the old and the new secret both sign. `Debug` hides the secret.
    ///
    /// # Errors
    ///
    /// Among others, [`NotFound`](crate::ErrorCode::NotFound). After an error without a code the secret may be replaced.
    pub async fn rotate_secret(
        &self,
        request: impl IntoRequest<RotateSecretRequest>,
    ) -> Result<RotateSecretResponse, Error> {
        Ok(self.webhooks().rotate_secret(request).await?.into_inner())
    }

    /// Send a ping to a webhook now. The test succeeded if the `error` of the attempt is empty.
    ///
    /// # Errors
    ///
    /// Among others, [`TooMany`](crate::ErrorCode::TooMany): retry after [`retry_after`](Error::retry_after). A receiver
    /// that fails is no error.
    pub async fn test_webhook(
        &self,
        request: impl IntoRequest<TestWebhookRequest>,
    ) -> Result<TestWebhookResponse, Error> {
        Ok(self.webhooks().test_webhook(request).await?.into_inner())
    }

    /// List the deliveries of a webhook, the newest event first: all that are pending or dead, and some of the last that
    /// succeeded. Pages are fetched as those of [`list`](Self::list).
    ///
    /// Its last item is an error if a page fails, among others with [`NotFound`](crate::ErrorCode::NotFound).
    pub fn deliveries(&self, request: impl IntoRequest<ListDeliveriesRequest>) -> Items<WebhookDelivery> {
        list(self.connection.clone(), request.into_request())
    }

    /// Return one page of the deliveries of a webhook, and the token of the next page.
    ///
    /// # Errors
    ///
    /// Among others, [`NotFound`](crate::ErrorCode::NotFound).
    pub async fn list_deliveries(
        &self,
        request: impl IntoRequest<ListDeliveriesRequest>,
    ) -> Result<ListDeliveriesResponse, Error> {
        Ok(self.webhooks().list_deliveries(request).await?.into_inner())
    }

    /// Attempt the delivery of an event now, whatever its state. Failures are repeated as usual.
    ///
    /// # Errors
    ///
    /// Among others, [`EventsGone`](crate::ErrorCode::EventsGone): the event was removed.
    pub async fn redeliver_event(
        &self,
        request: impl IntoRequest<RedeliverEventRequest>,
    ) -> Result<RedeliverEventResponse, Error> {
        Ok(self.webhooks().redeliver_event(request).await?.into_inner())
    }

    /// Send all events after a sequence again, in order, then new ones.
    ///
    /// # Errors
    ///
    /// Among others, [`EventsGone`](crate::ErrorCode::EventsGone): events after the sequence were removed.
    pub async fn replay_events(
        &self,
        request: impl IntoRequest<ReplayEventsRequest>,
    ) -> Result<ReplayEventsResponse, Error> {
        Ok(self.webhooks().replay_events(request).await?.into_inner())
    }

    /// The generated stub for webhooks.
    #[must_use]
    pub fn webhooks(&self) -> WebhookServiceClient<Connection> {
        WebhookServiceClient::new(self.connection.clone())
    }
}

impl Paged for ListDeliveriesRequest {
    type Item = WebhookDelivery;

    fn begin_at(&mut self, page_token: String) {
        self.page_token = page_token;
    }

    async fn fetch(connection: Connection, request: Request<Self>) -> Result<(Vec<WebhookDelivery>, String), Status> {
        let response = WebhookServiceClient::new(connection).list_deliveries(request).await?;
        let page = response.into_inner();
        Ok((page.deliveries, page.next_page_token))
    }
}

macro_rules! hide_secrets {
    ($($message:ident { $shown:ident, $secret:ident })*) => {$(
        /// Does not show the secret.
        impl fmt::Debug for $message {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter
                    .debug_struct(stringify!($message))
                    .field(stringify!($shown), &self.$shown)
                    .field(stringify!($secret), &format_args!("redacted"))
                    .finish()
            }
        }
    )*};
}

// build.rs generates no Debug for these.
hide_secrets! {
    CreateWebhookResponse { webhook, secret }
    RotateSecretResponse { webhook, secret }
    InvoiceWebhook { id, secret }
    CreateKeyResponse { key, token }
}
