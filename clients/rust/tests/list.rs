//! Lists and exports of a Till in memory.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::body::Incoming;
use support::{answered_by, till_error};
use till_client::tonic::{Code, Request, Response, Status, body::Body, server};
use till_client::v1::{
    ExportInvoicesRequest, ExportInvoicesResponse, Invoice, InvoiceFilter, InvoiceOrder, ListInvoicesRequest,
    ListInvoicesResponse,
};
use till_client::{Client, ErrorCode, Items};
use tokio::time::Instant;
use tokio_stream::StreamExt;

type Part = Result<ExportInvoicesResponse, Status>;

/// A Till with three pages of invoices, the second of them empty.
#[derive(Clone, Default)]
struct Till {
    /// Errors of the second page, before it is returned.
    errors: Arc<Mutex<Vec<Status>>>,
    asked: Arc<Mutex<Vec<ListInvoicesRequest>>>,
    timeouts: Arc<Mutex<Vec<String>>>,
}

impl Till {
    fn client(&self) -> Client {
        let till = self.clone();
        Client::connect(answered_by(move |request| till.clone().answer(request))).unwrap()
    }

    async fn answer(self, request: hyper::Request<Incoming>) -> hyper::Response<Body> {
        if let Some(timeout) = request.headers().get("grpc-timeout") {
            self.timeouts.lock().unwrap().push(timeout.to_str().unwrap().to_owned());
        }
        let list = tower::service_fn(|request: Request<ListInvoicesRequest>| {
            let request = request.into_inner();
            let page = match request.page_token.as_str() {
                "" => Ok(page(&["one", "two"], "second")),
                "second" => self.errors.lock().unwrap().pop().map_or(Ok(page(&[], "third")), Err),
                "third" => Ok(page(&["three"], "")),
                _ => Err(till_error(Code::InvalidArgument, "E1", None)),
            };
            self.asked.lock().unwrap().push(request);
            async { page.map(Response::new) }
        });
        let codec = tonic_prost::ProstCodec::<ListInvoicesResponse, ListInvoicesRequest>::default();
        server::Grpc::new(codec).unary(list, request).await
    }
}

fn page(ids: &[&str], next: &str) -> ListInvoicesResponse {
    let invoice = |id: &&str| Invoice {
        invoice_id: (*id).to_owned(),
        ..Default::default()
    };
    ListInvoicesResponse {
        invoices: ids.iter().map(invoice).collect(),
        next_page_token: next.to_owned(),
    }
}

async fn ids(mut list: Items<Invoice>, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    while ids.len() < count
        && let Some(invoice) = list.try_next().await.unwrap()
    {
        ids.push(invoice.invoice_id);
    }
    ids
}

#[tokio::test]
async fn a_list_has_the_invoices_of_all_pages() {
    let till = Till::default();
    let request = ListInvoicesRequest {
        page_size: 2,
        filter: Some(InvoiceFilter {
            r#type: Some("shop".to_owned()),
            ..Default::default()
        }),
        order: InvoiceOrder::PaidAsc.into(),
        ..Default::default()
    };
    assert_eq!(
        ids(till.client().list(request.clone()), 9).await,
        ["one", "two", "three"]
    );
    let expected = ["", "second", "third"].map(|token| ListInvoicesRequest {
        page_token: token.to_owned(),
        ..request.clone()
    });
    assert_eq!(*till.asked.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_page_is_fetched_when_it_is_needed() {
    let till = Till::default();
    assert_eq!(
        ids(till.client().list(ListInvoicesRequest::default()), 2).await.len(),
        2
    );
    assert_eq!(till.asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_list_begins_at_a_page_token_and_fails_with_its_page() {
    let request = |token: &str| ListInvoicesRequest {
        page_token: token.to_owned(),
        ..Default::default()
    };
    let till = Till::default().client();
    assert_eq!(ids(till.list(request("third")), 9).await, ["three"]);
    let mut list = till.list(request("foreign"));
    let error = list.next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::InvalidRequest));
    assert!(list.next().await.is_none());
}

/// List all invoices of a Till whose second page has these errors first. Return the seconds, and the error.
async fn failing(errors: Vec<Status>, timeout: Option<Duration>) -> (f64, Option<till_client::Error>) {
    let till = Till::default();
    *till.errors.lock().unwrap() = errors;
    let mut request = Request::new(ListInvoicesRequest::default());
    if let Some(timeout) = timeout {
        request.set_timeout(timeout);
    }
    let started = Instant::now();
    let items: Vec<_> = till.client().list(request).collect().await;
    assert_eq!(items.len(), 3);
    let error = items.into_iter().find_map(Result::err);
    (started.elapsed().as_secs_f64(), error)
}

#[tokio::test(start_paused = true)]
async fn a_page_that_was_lost_is_fetched_again_with_the_pauses_of_a_watch() {
    let errors = [Code::Unavailable, Code::Internal, Code::Unknown, Code::Cancelled];
    let errors = errors.map(|code| Status::new(code, "gone")).to_vec();
    let (seconds, error) = failing(errors, None).await;
    assert!(error.is_none() && (0.75..1.6).contains(&seconds), "{seconds} {error:?}");
    let busy = till_error(Code::ResourceExhausted, "E7", Some(Duration::from_secs(10)));
    let (seconds, error) = failing(vec![busy], None).await;
    assert!(
        error.is_none() && (10.0..15.1).contains(&seconds),
        "{seconds} {error:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_page_is_fetched_again_until_its_deadline_or_for_30_s() {
    for (timeout, limit) in [(Some(Duration::from_secs(5)), 5.0), (None, 30.0)] {
        let (seconds, error) = failing(vec![Status::unavailable("gone"); 99], timeout).await;
        assert_eq!(error.unwrap().message(), "gone");
        assert!((limit - 1.6..limit).contains(&seconds), "{seconds}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_list_is_that_of_each_page() {
    let till = Till::default();
    let mut request = Request::new(ListInvoicesRequest::default());
    request.set_timeout(Duration::from_secs(60));
    ids(till.client().list(request), 9).await;
    assert_eq!(*till.timeouts.lock().unwrap(), ["60000000u"; 3]);
}

/// An export with these parts, which hangs after them or ends.
fn export(parts: Vec<Part>, hangs: bool) -> Client {
    let answer = move |request| {
        let parts = parts.clone();
        async move {
            let export = tower::service_fn(|_: Request<ExportInvoicesRequest>| {
                let (sent, silence) = (tokio_stream::iter(parts.clone()), tokio_stream::pending());
                let stream = sent.chain(silence.take(if hangs { 1 } else { 0 }));
                async { Ok::<_, Status>(Response::new(stream)) }
            });
            let codec = tonic_prost::ProstCodec::<ExportInvoicesResponse, ExportInvoicesRequest>::default();
            server::Grpc::new(codec).server_streaming(export, request).await
        }
    };
    Client::connect(answered_by(answer)).unwrap()
}

fn part(csv: &str) -> Part {
    Ok(ExportInvoicesResponse {
        csv: csv.to_owned(),
        invoices: 1,
    })
}

#[tokio::test]
async fn an_export_ends_after_its_last_part() {
    let till = export(vec![part("one\r\n"), part("two\r\n")], false);
    let parts: Vec<_> = till.export(ExportInvoicesRequest::default()).collect().await;
    let lines: Vec<_> = parts.into_iter().map(|part| part.unwrap().csv).collect();
    assert_eq!(lines, ["one\r\n", "two\r\n"]);
}

#[tokio::test]
async fn an_export_fails_after_some_lines() {
    let till = export(
        vec![part("one\r\n"), Err(till_error(Code::Unavailable, "E8", None))],
        false,
    );
    let mut parts = till.export(ExportInvoicesRequest::default());
    assert_eq!(parts.try_next().await.unwrap().unwrap().csv, "one\r\n");
    assert_eq!(parts.try_next().await.unwrap_err().code(), Some(ErrorCode::Unavailable));
    assert!(parts.next().await.is_none());
}

#[tokio::test]
async fn an_export_that_is_cut_off_is_an_error() {
    // A message of gRPC, but no trailers after it.
    let answer = |_| async {
        let response = hyper::Response::builder().header("content-type", "application/grpc");
        response.body(Body::new("\0\0\0\0\x05\x0a\x03one".to_owned())).unwrap()
    };
    let till = Client::connect(answered_by(answer)).unwrap();
    let mut parts = till.export(ExportInvoicesRequest::default());
    assert_eq!(parts.try_next().await.unwrap().unwrap().csv, "one");
    let error = parts.try_next().await.unwrap_err();
    assert_eq!((error.status().code(), error.code()), (Code::Unknown, None));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_an_export_covers_all_parts() {
    let mut request = Request::new(ExportInvoicesRequest::default());
    request.set_timeout(Duration::from_secs(60));
    let till = export(vec![part("one\r\n")], true);
    let started = Instant::now();
    let mut parts = till.export(request);
    parts.try_next().await.unwrap();
    let error = parts.try_next().await.unwrap_err();
    assert_eq!(error.status().code(), Code::DeadlineExceeded);
    assert_eq!(started.elapsed().as_secs(), 60);
    assert!(parts.next().await.is_none());
}
