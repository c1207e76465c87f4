//! Lists and exports.

use async_stream::try_stream;
use tokio::time::{Instant, timeout_at};
use tonic::Request;

use crate::connection::{Connection, grpc_timeout, too_late};
use crate::items::Items;
use crate::v1::invoice_service_client::InvoiceServiceClient;
use crate::v1::{ExportInvoicesRequest, ExportInvoicesResponse, Invoice, ListInvoicesRequest};

pub(crate) fn list(
    mut invoices: InvoiceServiceClient<Connection>,
    request: Request<ListInvoicesRequest>,
) -> Items<Invoice> {
    let (metadata, extensions, mut message) = request.into_parts();
    Items::new(try_stream! {
        loop {
            let request = Request::from_parts(metadata.clone(), extensions.clone(), message.clone());
            let page = invoices.list_invoices(request).await?.into_inner();
            for invoice in page.invoices {
                yield invoice;
            }
            if page.next_page_token.is_empty() {
                break;
            }
            message.page_token = page.next_page_token;
        }
    })
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
