//! Lists and exports.

use std::time::Duration;

use async_stream::try_stream;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request, Status};

use crate::connection::{Connection, grpc_timeout, too_late};
use crate::error::Error;
use crate::items::Items;
use crate::pause::pause;
use crate::v1::invoice_service_client::InvoiceServiceClient;
use crate::v1::{ExportInvoicesRequest, ExportInvoicesResponse, Invoice, ListInvoicesRequest};

/// For how long a page without a deadline is retried.
const RETRIES: Duration = Duration::from_secs(30);

/// A request for a page.
pub(crate) trait Paged: Clone + Send + 'static {
    type Item: Send + 'static;

    fn begin_at(&mut self, page_token: String);

    /// Return the items of the page, and the token of the next one.
    fn fetch(
        connection: Connection,
        request: Request<Self>,
    ) -> impl Future<Output = Result<(Vec<Self::Item>, String), Status>> + Send;
}

impl Paged for ListInvoicesRequest {
    type Item = Invoice;

    fn begin_at(&mut self, page_token: String) {
        self.page_token = page_token;
    }

    async fn fetch(connection: Connection, request: Request<Self>) -> Result<(Vec<Invoice>, String), Status> {
        let response = InvoiceServiceClient::new(connection).list_invoices(request).await?;
        let page = response.into_inner();
        Ok((page.invoices, page.next_page_token))
    }
}

pub(crate) fn list<R: Paged>(connection: Connection, request: Request<R>) -> Items<R::Item> {
    let (metadata, extensions, message) = request.into_parts();
    let mut pages = Pages {
        connection,
        timeout: grpc_timeout(metadata.as_ref()),
        metadata,
        extensions,
        message,
    };
    Items::new(try_stream! {
        // The first page fails like a call, so that a wrong address shows.
        let (mut items, mut next) = pages.fetch(false).await?;
        loop {
            for item in items {
                yield item;
            }
            if next.is_empty() {
                break;
            }
            pages.message.begin_at(next);
            (items, next) = pages.fetch(true).await?;
        }
    })
}

struct Pages<R> {
    connection: Connection,
    timeout: Option<Duration>,
    metadata: MetadataMap,
    extensions: Extensions,
    message: R,
}

impl<R: Paged> Pages<R> {
    async fn fetch(&mut self, reconnects: bool) -> Result<(Vec<R::Item>, String), Error> {
        let started = Instant::now();
        let limit = self.timeout.unwrap_or(RETRIES);
        let mut failures = 0;
        loop {
            let (metadata, extensions) = (self.metadata.clone(), self.extensions.clone());
            let mut request = Request::from_parts(metadata, extensions, self.message.clone());
            if self.timeout.is_some() {
                request.set_timeout(limit.saturating_sub(started.elapsed()));
            }
            let error = match R::fetch(self.connection.clone(), request).await {
                Ok(page) => return Ok(page),
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
