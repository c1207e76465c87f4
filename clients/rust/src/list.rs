//! Lists and exports.

use std::time::Duration;

use async_stream::try_stream;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request};

use crate::connection::{Connection, grpc_timeout, too_late};
use crate::error::Error;
use crate::items::Items;
use crate::pause::pause;
use crate::v1::invoice_service_client::InvoiceServiceClient;
use crate::v1::{ExportInvoicesRequest, ExportInvoicesResponse, Invoice, ListInvoicesRequest, ListInvoicesResponse};

/// For how long a page without a deadline is retried.
const RETRIES: Duration = Duration::from_secs(30);

pub(crate) fn list(
    invoices: InvoiceServiceClient<Connection>,
    request: Request<ListInvoicesRequest>,
) -> Items<Invoice> {
    let (metadata, extensions, message) = request.into_parts();
    let mut pages = Pages {
        invoices,
        timeout: grpc_timeout(metadata.as_ref()),
        metadata,
        extensions,
        message,
    };
    Items::new(try_stream! {
        // The first page fails like a call, so that a wrong address shows.
        let mut page = pages.fetch(false).await?;
        loop {
            for invoice in page.invoices {
                yield invoice;
            }
            if page.next_page_token.is_empty() {
                break;
            }
            pages.message.page_token = page.next_page_token;
            page = pages.fetch(true).await?;
        }
    })
}

struct Pages {
    invoices: InvoiceServiceClient<Connection>,
    timeout: Option<Duration>,
    metadata: MetadataMap,
    extensions: Extensions,
    message: ListInvoicesRequest,
}

impl Pages {
    async fn fetch(&mut self, reconnects: bool) -> Result<ListInvoicesResponse, Error> {
        let started = Instant::now();
        let limit = self.timeout.unwrap_or(RETRIES);
        let mut failures = 0;
        loop {
            let (metadata, extensions) = (self.metadata.clone(), self.extensions.clone());
            let mut request = Request::from_parts(metadata, extensions, self.message.clone());
            if self.timeout.is_some() {
                request.set_timeout(limit.saturating_sub(started.elapsed()));
            }
            let error = match self.invoices.list_invoices(request).await {
                Ok(page) => return Ok(page.into_inner()),
                Err(status) => Error::from(status),
            };
            match pause(&error, failures) {
                Some(pause) if reconnects && started.elapsed().saturating_add(pause) < limit => sleep(pause).await,
                _ => return Err(error),
            }
            failures += 1;
        }
    }
}

pub(crate) fn export(
    mut invoices: InvoiceServiceClient<Connection>,
    request: Request<ExportInvoicesRequest>,
) -> Items<ExportInvoicesResponse> {
    let timeout = grpc_timeout(request.metadata().as_ref());
    Items::new(try_stream! {
        // The deadline of the connection ends with the headers of the response.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut parts = invoices.export_invoices(request).await?.into_inner();
        loop {
            let part = match deadline {
                Some(deadline) => timeout_at(deadline, parts.message()).await.unwrap_or_else(|_| Err(too_late())),
                None => parts.message().await,
            };
            match part? {
                Some(part) => yield part,
                None => break,
            }
        }
    })
}
