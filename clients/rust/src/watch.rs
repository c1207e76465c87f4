//! The watch of an invoice, which reconnects.

use std::time::Duration;

use async_stream::try_stream;
use tonic::{Response, Status, Streaming};

use crate::connection::Connection;
use crate::items::Items;
use crate::reconnect::{Reconnecting, Source, WatchOptions};
use crate::v1::invoice_service_client::InvoiceServiceClient;
use crate::v1::{Invoice, InvoiceStatus, WatchInvoiceRequest, WatchInvoiceResponse};

/// The states of an invoice, from the current one to `PAID`, `EXPIRED` or `CANCELED`.
pub type Watch = Items<Invoice>;

pub(crate) fn watch(invoices: InvoiceServiceClient<Connection>, invoice_id: String, options: WatchOptions) -> Watch {
    Items::new(try_stream! {
        let mut states = Reconnecting::new(States { invoices, invoice_id }, options);
        let mut seen = None;
        while !seen.as_ref().is_some_and(is_final) {
            let state = states.next().await?.invoice;
            if let Some(invoice) = state.filter(|state| seen.as_ref() != Some(state)) {
                seen = Some(invoice.clone());
                yield invoice;
            }
        }
    })
}

struct States {
    invoices: InvoiceServiceClient<Connection>,
    invoice_id: String,
}

impl Source for States {
    type Message = WatchInvoiceResponse;
    const EARLY: &str = "the watch ended before the invoice was final";
    const LATE: &str = "the deadline of the watch passed before the invoice was final";
    // A watch has no heartbeats.
    const SILENCE: Option<Duration> = None;

    async fn open(&mut self) -> Result<Response<Streaming<WatchInvoiceResponse>>, Status> {
        let invoice_id = self.invoice_id.clone();
        self.invoices.watch_invoice(WatchInvoiceRequest { invoice_id }).await
    }
}

fn is_final(invoice: &Invoice) -> bool {
    matches!(
        invoice.status(),
        InvoiceStatus::Paid | InvoiceStatus::Expired | InvoiceStatus::Canceled
    )
}
