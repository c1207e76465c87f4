//! A Till in memory, which answers each watch as scripted.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use till_client::Options;
use till_client::tonic::transport::{Channel, Endpoint};
use till_client::tonic::{Code, Request, Response, Status, body::Body, server};
use till_client::v1::{Invoice, InvoiceStatus, WatchInvoiceRequest, WatchInvoiceResponse};
use tonic_types::{ErrorDetails, StatusExt};

pub(crate) type Message = Result<WatchInvoiceResponse, Status>;

/// The messages of each watch, and the keys that came with them.
#[derive(Clone, Default)]
pub(crate) struct Till {
    watches: Arc<Mutex<VecDeque<Vec<Message>>>>,
    pub(crate) keys: Arc<Mutex<Vec<String>>>,
}

impl Till {
    /// A Till that answers the first watch with the first messages, and so on. Later ones get UNAVAILABLE.
    pub(crate) fn new(watches: impl IntoIterator<Item = Vec<Message>>) -> Self {
        Self {
            watches: Arc::new(Mutex::new(watches.into_iter().collect())),
            keys: Arc::default(),
        }
    }

    pub(crate) fn options(&self) -> Options {
        Options::from(self.channel())
    }

    fn channel(&self) -> Channel {
        let till = self.clone();
        Endpoint::from_static("http://till").connect_with_connector_lazy(tower::service_fn(move |_| {
            let (client, server) = tokio::io::duplex(65536);
            let till = till.clone();
            let answer = service_fn(move |request| answer(till.clone(), request));
            let mut builder = Builder::new(TokioExecutor::new());
            builder.timer(TokioTimer::new());
            tokio::spawn(builder.serve_connection(TokioIo::new(server), answer));
            async { Ok::<_, Infallible>(TokioIo::new(client)) }
        }))
    }
}

async fn answer(
    till: Till,
    request: hyper::Request<hyper::body::Incoming>,
) -> Result<hyper::Response<Body>, Infallible> {
    if let Some(key) = request.headers().get("authorization") {
        till.keys.lock().unwrap().push(key.to_str().unwrap().to_owned());
    }
    let watch = tower::service_fn(|_: Request<WatchInvoiceRequest>| {
        let messages = till.watches.lock().unwrap().pop_front();
        async {
            let messages = messages.ok_or_else(|| Status::unavailable("no more watches"))?;
            Ok::<_, Status>(Response::new(tokio_stream::iter(messages)))
        }
    });
    let codec = tonic_prost::ProstCodec::<WatchInvoiceResponse, WatchInvoiceRequest>::default();
    Ok(server::Grpc::new(codec).server_streaming(watch, request).await)
}

pub(crate) fn state(status: InvoiceStatus) -> Message {
    let mut invoice = Invoice::default();
    invoice.set_status(status);
    Ok(WatchInvoiceResponse { invoice: Some(invoice) })
}

/// An error with Till's code, and maybe the time to wait.
pub(crate) fn till_error(status: Code, code: &str, retry_after: Option<Duration>) -> Message {
    let metadata = HashMap::from([("code".to_owned(), code.to_owned())]);
    let mut details = ErrorDetails::with_error_info("REASON", "till", metadata);
    if let Some(delay) = retry_after {
        details.set_retry_info(Some(delay));
    }
    Err(Status::with_error_details(status, "an error of Till", details))
}
