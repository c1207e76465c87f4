//! The client.

use tonic::IntoRequest;

use crate::connection::Connection;
use crate::error::Error;
use crate::events::{EventOptions, Events, events};
use crate::items::Items;
use crate::list::{export, list};
use crate::options::{InvalidOptions, Options};
use crate::reconnect::WatchOptions;
use crate::v1::event_service_client::EventServiceClient;
use crate::v1::invoice_service_client::InvoiceServiceClient;
use crate::v1::invreq_service_client::InvreqServiceClient;
use crate::v1::key_service_client::KeyServiceClient;
use crate::v1::{
    CancelInvoiceRequest, CancelInvoiceResponse, CreateInvoiceRequest, CreateInvoiceResponse, ExportInvoicesRequest,
    ExportInvoicesResponse, GetInfoRequest, GetInfoResponse, GetInvoiceByIdRequest, GetInvoiceByIdResponse,
    GetInvoiceRequest, GetInvoiceResponse, GetReportRequest, GetReportResponse, Invoice, ListEventsRequest,
    ListEventsResponse, ListInvoicesRequest, ListInvoicesResponse, LookupInvoiceRequest, LookupInvoiceResponse,
};
use crate::watch::{Watch, watch};

/// A client of Till. Clones share one connection.
///
/// Calls take the message, or a [`tonic::Request`] with it, which may have a deadline
/// ([`set_timeout`](tonic::Request::set_timeout)). They have no deadline by default, and are sent once, except
/// the later pages of a list. Dropping a future cancels its call.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) connection: Connection,
}

impl Client {
    /// Create a client of an address (`HOST:PORT`) or of [`Options`].
    ///
    /// Its first call connects, so this succeeds whether or not Till is running, and needs no runtime. The connection
    /// belongs to the runtime of this call. After that runtime has ended, the next call connects in its own.
    ///
    /// # Errors
    ///
    /// [`InvalidOptions`] if the address, the key or a certificate is malformed, or if a key would be sent without TLS
    /// to another host than loopback.
    pub fn connect(options: impl Into<Options>) -> Result<Self, InvalidOptions> {
        Ok(Self {
            connection: options.into().connection()?,
        })
    }

    /// Create an invoice. With a `label` it may be repeated: the same label and request return the same invoice.
    ///
    /// # Errors
    ///
    /// Among others, [`Conflict`](crate::ErrorCode::Conflict): the label is in use for a different request. After an
    /// error without a code the invoice may exist.
    pub async fn create_invoice(
        &self,
        request: impl IntoRequest<CreateInvoiceRequest>,
    ) -> Result<CreateInvoiceResponse, Error> {
        Ok(self.invoices().create_invoice(request).await?.into_inner())
    }

    /// Return an invoice by its `invoice_id`.
    ///
    /// # Errors
    ///
    /// Among others, [`NotFound`](crate::ErrorCode::NotFound).
    pub async fn get_invoice(&self, request: impl IntoRequest<GetInvoiceRequest>) -> Result<GetInvoiceResponse, Error> {
        Ok(self.invoices().get_invoice(request).await?.into_inner())
    }

    /// Return an invoice by its internal ID.
    ///
    /// # Errors
    ///
    /// Among others, [`NotFound`](crate::ErrorCode::NotFound).
    pub async fn get_invoice_by_id(
        &self,
        request: impl IntoRequest<GetInvoiceByIdRequest>,
    ) -> Result<GetInvoiceByIdResponse, Error> {
        Ok(self.invoices().get_invoice_by_id(request).await?.into_inner())
    }

    /// Return an invoice by its label, payment hash or payment request.
    ///
    /// # Errors
    ///
    /// Among others, [`NotFound`](crate::ErrorCode::NotFound).
    pub async fn lookup_invoice(
        &self,
        request: impl IntoRequest<LookupInvoiceRequest>,
    ) -> Result<LookupInvoiceResponse, Error> {
        Ok(self.invoices().lookup_invoice(request).await?.into_inner())
    }

    /// List all matching invoices. A page is fetched when [`next`](Items::next) needs it.
    ///
    /// The deadline of a [`tonic::Request`] is that of each page. A list may begin at a `page_token` of
    /// [`list_invoices`](Self::list_invoices).
    ///
    /// The first page fails as a call does. A later page whose connection is lost is fetched again, with the pauses of a
    /// [`watch`](Self::watch), until its deadline, or for 30 s.
    ///
    /// Its last item is an error if a page fails, among others with
    /// [`InvalidRequest`](crate::ErrorCode::InvalidRequest).
    pub fn list(&self, request: impl IntoRequest<ListInvoicesRequest>) -> Items<Invoice> {
        list(self.connection.clone(), request.into_request())
    }

    /// Return one page of the matching invoices, and the token of the next page.
    ///
    /// # Errors
    ///
    /// Among others, [`InvalidRequest`](crate::ErrorCode::InvalidRequest): a filter is invalid, or the page token
    /// belongs to a different request.
    pub async fn list_invoices(
        &self,
        request: impl IntoRequest<ListInvoicesRequest>,
    ) -> Result<ListInvoicesResponse, Error> {
        Ok(self.invoices().list_invoices(request).await?.into_inner())
    }

    /// Export all matching invoices as CSV. Each item has whole lines; the first begins with the header.
    ///
    /// The deadline of a [`tonic::Request`] is that of the whole export.
    ///
    /// Its last item is an error if the export fails, also after some lines. The file is complete only if there is
    /// none.
    pub fn export(&self, request: impl IntoRequest<ExportInvoicesRequest>) -> Items<ExportInvoicesResponse> {
        export(self.invoices(), request.into_request())
    }

    /// Cancel an unpaid invoice: it can no longer be paid. A canceled invoice may be canceled again.
    ///
    /// # Errors
    ///
    /// Among others, [`Conflict`](crate::ErrorCode::Conflict): the invoice is paid or expired.
    pub async fn cancel_invoice(
        &self,
        request: impl IntoRequest<CancelInvoiceRequest>,
    ) -> Result<CancelInvoiceResponse, Error> {
        Ok(self.invoices().cancel_invoice(request).await?.into_inner())
    }

    /// Return the number and the sum of the payments received in a period, by group.
    ///
    /// # Errors
    ///
    /// Among others, [`InvalidRequest`](crate::ErrorCode::InvalidRequest): the period or the time zone is invalid.
    pub async fn get_report(&self, request: impl IntoRequest<GetReportRequest>) -> Result<GetReportResponse, Error> {
        Ok(self.invoices().get_report(request).await?.into_inner())
    }

    /// Return the state of Till and its node, and the totals of the key's user.
    ///
    /// # Errors
    ///
    /// Among others, [`Unauthenticated`](crate::ErrorCode::Unauthenticated).
    pub async fn get_info(&self, request: impl IntoRequest<GetInfoRequest>) -> Result<GetInfoResponse, Error> {
        Ok(self.invoices().get_info(request).await?.into_inner())
    }

    /// Watch an invoice: its current state, then each change, up to `PAID`, `EXPIRED` or
    /// `CANCELED`.
    ///
    /// The watch reconnects when its connection is lost, after 0.1 s, then twice as long each time, up to 1.5 s, each
    /// multiplied by a random 0.5 to 1. It yields no state twice in a row, and misses no payment. An error of Till with
    /// [`retry_after`](Error::retry_after) is a pause of that time, multiplied by a random 1 to 1.5.
    ///
    /// Its last item is an error if waiting does not help, such as [`NotFound`](crate::ErrorCode::NotFound). Before the
    /// first state it fails as a call does: also with UNAVAILABLE, within 5 s if there is no connection.
    pub fn watch(&self, invoice_id: impl Into<String>) -> Watch {
        self.watch_with(invoice_id, WatchOptions::new())
    }

    /// Watch an invoice, as [`watch`](Self::watch), with options.
    pub fn watch_with(&self, invoice_id: impl Into<String>, options: WatchOptions) -> Watch {
        watch(self.invoices(), invoice_id.into(), options)
    }

    /// Read the events of the key's user, each once and in order: those behind the start, then new ones as they happen.
    /// The key needs the scope events:read.
    ///
    /// Store the `sequence` of each event that you have handled, and continue after it with [`EventStart::After`]. With
    /// [`EventOptions::all_users`] it is the `cursor` of the event.
    ///
    /// ```no_run
    /// # use till_client::{Client, Error, EventOptions, EventStart};
    /// # async fn read(till: &Client) -> Result<(), Error> {
    /// let mut events = till.events(EventOptions::new(EventStart::After(4711)).types(["invoice.paid"]));
    /// while let Some(event) = events.try_next().await? {
    ///     println!("{} {}", event.sequence, event.r#type);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The stream reconnects when its connection is lost, or silent for 45 s, with the pauses of a
    /// [`watch`](Self::watch). It then continues behind its last event. It never ends by itself.
    ///
    /// Its last item is an error if waiting does not help, such as [`EventsGone`](crate::ErrorCode::EventsGone) with
    /// [`oldest_sequence`](Error::oldest_sequence) if events behind the start were removed. Before the first message,
    /// which comes immediately, it fails as a call does, unless it waits for ready.
    ///
    /// [`EventStart::After`]: crate::EventStart::After
    pub fn events(&self, options: impl Into<EventOptions>) -> Events {
        events(self.event_log(), options.into())
    }

    /// Return one page of the log of events, and the sequence to continue after. The key needs the scope events:read.
    ///
    /// # Errors
    ///
    /// Among others, [`EventsGone`](crate::ErrorCode::EventsGone): events after the start were removed.
    pub async fn list_events(&self, request: impl IntoRequest<ListEventsRequest>) -> Result<ListEventsResponse, Error> {
        Ok(self.event_log().list_events(request).await?.into_inner())
    }

    /// The generated stub for invoices.
    #[must_use]
    pub fn invoices(&self) -> InvoiceServiceClient<Connection> {
        InvoiceServiceClient::new(self.connection.clone())
    }

    /// The generated stub for payouts by invoice requests (BOLT 12), and for collecting those of others.
    #[must_use]
    pub fn invreqs(&self) -> InvreqServiceClient<Connection> {
        InvreqServiceClient::new(self.connection.clone())
    }

    /// The generated stub for events.
    #[must_use]
    pub fn event_log(&self) -> EventServiceClient<Connection> {
        EventServiceClient::new(self.connection.clone())
    }

    /// The generated stub for keys.
    #[must_use]
    pub fn keys(&self) -> KeyServiceClient<Connection> {
        KeyServiceClient::new(self.connection.clone())
    }
}
