//! A Till in memory.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use till_client::Options;
use till_client::tonic::transport::Endpoint;
use till_client::tonic::{Code, Status, body::Body};
use tonic_types::{ErrorDetails, StatusExt};

/// Return options whose calls this function answers.
pub(crate) fn answered_by<F, T>(answer: F) -> Options
where
    F: Fn(hyper::Request<Incoming>) -> T + Clone + Send + Sync + 'static,
    T: Future<Output = hyper::Response<Body>> + Send + 'static,
{
    let channel = Endpoint::from_static("http://till").connect_with_connector_lazy(tower::service_fn(move |_| {
        let (client, server) = tokio::io::duplex(65536);
        let answer = answer.clone();
        let service = service_fn(move |request| {
            let response = answer(request);
            async { Ok::<_, Infallible>(response.await) }
        });
        let mut builder = Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new());
        tokio::spawn(builder.serve_connection(TokioIo::new(server), service));
        async { Ok::<_, Infallible>(TokioIo::new(client)) }
    }));
    Options::from(channel)
}

/// An error with Till's code, and maybe the time to wait.
pub(crate) fn till_error(status: Code, code: &str, retry_after: Option<Duration>) -> Status {
    let metadata = HashMap::from([("code".to_owned(), code.to_owned())]);
    let mut details = ErrorDetails::with_error_info("REASON", "till", metadata);
    if let Some(delay) = retry_after {
        details.set_retry_info(Some(delay));
    }
    Status::with_error_details(status, "an error of Till", details)
}
