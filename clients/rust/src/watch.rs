//! The watch that outlives its connection.

use std::pin::Pin;
use std::time::Duration;

use async_stream::try_stream;
use futures_core::Stream;
use tonic::{Code, Status, Streaming};

use crate::connection::Connection;
use crate::details::Details;
use crate::v1::invoice_service_client::InvoiceServiceClient;
use crate::v1::{Invoice, InvoiceStatus, WatchInvoiceRequest, WatchInvoiceResponse};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The states of an invoice, up to the final one.
pub type Watch = Pin<Box<dyn Stream<Item = Result<Invoice, Status>> + Send>>;

pub(crate) fn watch(invoices: InvoiceServiceClient<Connection>, invoice_id: String) -> Watch {
    Box::pin(try_stream! {
        let mut states = States { invoices, invoice_id, stream: None };
        let mut last = None;
        let mut pause = FIRST_PAUSE;
        loop {
            match states.next().await {
                Ok(Some(invoice)) => {
                    let is_final = matches!(invoice.status(), InvoiceStatus::Paid | InvoiceStatus::Expired);
                    if last.as_ref() != Some(&invoice) {
                        last = Some(invoice.clone());
                        yield invoice;
                    }
                    if is_final {
                        return;
                    }
                    pause = FIRST_PAUSE;
                }
                Err(status) if !is_lost(&status) => Err(status)?,
                // Lost, or ended before its time.
                Ok(None) | Err(_) => {
                    states.stream = None;
                    tokio::time::sleep(pause).await;
                    pause = LONGEST_PAUSE.min(2 * pause);
                }
            }
        }
    })
}

/// The states that one stream tells, of which there is none at first.
struct States {
    invoices: InvoiceServiceClient<Connection>,
    invoice_id: String,
    stream: Option<Streaming<WatchInvoiceResponse>>,
}

impl States {
    async fn next(&mut self) -> Result<Option<Invoice>, Status> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let invoice_id = self.invoice_id.clone();
                let response = self.invoices.watch_invoice(WatchInvoiceRequest { invoice_id }).await?;
                none.insert(response.into_inner())
            }
        };
        Ok(stream.message().await?.and_then(|state| state.invoice))
    }
}

/// Whether to come back. A lost connection may be a reset behind a proxy, which shows as INTERNAL, UNKNOWN or CANCELLED.
fn is_lost(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable => true,
        Code::Internal | Code::Unknown | Code::Cancelled => Details::of(status).is_none(),
        _ => false,
    }
}
