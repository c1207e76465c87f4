//! The watch, which reconnects.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_stream::try_stream;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::{Status, Streaming};

use crate::connection::Connection;
use crate::error::Error;
use crate::items::Items;
use crate::pause::pause;
use crate::v1::invoice_service_client::InvoiceServiceClient;
use crate::v1::{Invoice, InvoiceStatus, WatchInvoiceRequest, WatchInvoiceResponse};

/// The states of an invoice, from the current one to `PAID`, `EXPIRED` or `CANCELED`.
pub type Watch = Items<Invoice>;

/// Options of [`Client::watch_with`](crate::Client::watch_with).
#[derive(Clone, Default)]
#[must_use]
pub struct WatchOptions {
    wait_for_ready: bool,
    timeout: Option<Duration>,
    on_connection: Option<Arc<dyn Fn(ConnectionChange) + Send + Sync>>,
}

impl WatchOptions {
    /// The defaults: no waiting for the first connection, no deadline, no callback.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reconnect before the first state too. By default such an error ends the watch, as it ends a call.
    pub fn wait_for_ready(mut self, wait_for_ready: bool) -> Self {
        self.wait_for_ready = wait_for_ready;
        self
    }

    /// End the watch with DEADLINE_EXCEEDED after this time, from the first `next` on. It covers all connections.
    ///
    /// The message and [`source`](std::error::Error::source) of the error are those of the last loss.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Call a function when the connection is lost, and when it is back. It must not block.
    pub fn on_connection(mut self, callback: impl Fn(ConnectionChange) + Send + Sync + 'static) -> Self {
        self.on_connection = Some(Arc::new(callback));
        self
    }
}

impl fmt::Debug for WatchOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("WatchOptions")
            .field("wait_for_ready", &self.wait_for_ready)
            .field("timeout", &self.timeout)
            .field("on_connection", &self.on_connection.is_some())
            .finish()
    }
}

/// A change of a watch's connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConnectionChange {
    /// The connection is lost, or could not be made; the watch pauses, and reconnects.
    #[non_exhaustive]
    Lost {
        /// Failures in a row, from 1.
        attempt: u32,
        /// The error of this attempt.
        error: Error,
    },
    /// The first message after a loss arrived. Its state follows, if it is new.
    #[non_exhaustive]
    Restored {
        /// Failures in a row before.
        attempt: u32,
    },
}

pub(crate) fn watch(invoices: InvoiceServiceClient<Connection>, invoice_id: String, options: WatchOptions) -> Watch {
    Items::new(try_stream! {
        let mut watching = Watching {
            deadline: options.timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
            invoices,
            invoice_id,
            options,
            stream: None,
            seen: None,
            failures: 0,
            last_loss: None,
        };
        while let Some(invoice) = watching.next().await? {
            yield invoice;
        }
    })
}

struct Watching {
    invoices: InvoiceServiceClient<Connection>,
    invoice_id: String,
    options: WatchOptions,
    deadline: Option<Instant>,
    stream: Option<Streaming<WatchInvoiceResponse>>,
    seen: Option<Invoice>,
    /// In a row.
    failures: u32,
    last_loss: Option<Error>,
}

impl Watching {
    async fn next(&mut self) -> Result<Option<Invoice>, Error> {
        let Some(deadline) = self.deadline else {
            return self.news().await;
        };
        let news = timeout_at(deadline, self.news()).await;
        news.unwrap_or_else(|_| Err(too_late(self.last_loss.take())))
    }

    /// Wait for a state that differs from the last one. None: the last one was final.
    async fn news(&mut self) -> Result<Option<Invoice>, Error> {
        if self.seen.as_ref().is_some_and(is_final) {
            return Ok(None);
        }
        loop {
            match self.state().await {
                Ok(invoice) => {
                    if self.failures > 0 {
                        let attempt = std::mem::take(&mut self.failures);
                        self.report(ConnectionChange::Restored { attempt });
                    }
                    if self.seen.as_ref() != Some(&invoice) {
                        return Ok(self.seen.insert(invoice).clone().into());
                    }
                }
                Err(error) => self.pause_after(error).await?,
            }
        }
    }

    async fn state(&mut self) -> Result<Invoice, Error> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let invoice_id = self.invoice_id.clone();
                let response = self.invoices.watch_invoice(WatchInvoiceRequest { invoice_id }).await?;
                none.insert(response.into_inner())
            }
        };
        let message = stream.message().await?;
        let early = || Status::unavailable("the watch ended before the invoice was final");
        Ok(message.and_then(|message| message.invoice).ok_or_else(early)?)
    }

    async fn pause_after(&mut self, error: Error) -> Result<(), Error> {
        self.stream = None;
        let reconnects = self.seen.is_some() || self.options.wait_for_ready;
        let Some(pause) = pause(&error, self.failures).filter(|_| reconnects) else {
            return Err(error);
        };
        self.failures += 1;
        self.report(ConnectionChange::Lost {
            attempt: self.failures,
            error: error.clone(),
        });
        self.last_loss = Some(error);
        sleep(pause).await;
        Ok(())
    }

    fn report(&self, change: ConnectionChange) {
        if let Some(callback) = &self.options.on_connection {
            callback(change);
        }
    }
}

fn is_final(invoice: &Invoice) -> bool {
    matches!(
        invoice.status(),
        InvoiceStatus::Paid | InvoiceStatus::Expired | InvoiceStatus::Canceled
    )
}

fn too_late(last_loss: Option<Error>) -> Error {
    let mut message = "the deadline of the watch passed before the invoice was final".to_owned();
    if let Some(loss) = &last_loss {
        message = format!("{message}; last error: {loss}");
    }
    let mut status = Status::deadline_exceeded(message);
    if let Some(loss) = last_loss {
        status.set_source(Arc::new(loss));
    }
    status.into()
}
