//! The connection that the stubs call.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::timeout;
use tonic::body::Body;
use tonic::codegen::http::header::AUTHORIZATION;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::transport::{self, Channel};
use tonic::{ConnectError, Status, TimeoutExpired};
use tower::{Service, ServiceExt};

use crate::connector::LastFailure;
use crate::key::Key;

/// The connection of a client, which is opened by its first call. It adds the key to each call.
#[derive(Clone)]
pub struct Connection {
    opener: Arc<Opener>,
    key: Key,
    last_failure: LastFailure,
}

impl Connection {
    pub(crate) fn new(open: impl Fn() -> Channel + Send + Sync + 'static, key: Key, last_failure: LastFailure) -> Self {
        let opener = Opener {
            open: Box::new(open),
            opened: Mutex::new(None),
        };
        Self {
            opener: Arc::new(opener),
            key,
            last_failure,
        }
    }

    async fn send(self, mut request: Request<Body>) -> Result<Response<Body>, Status> {
        if let Some(value) = self.key.header().await? {
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let lost = |error| lost(error, &self.last_failure);
        let mut channel = self.opener.ready().await.map_err(lost)?;
        channel.call(request).await.map_err(lost)
    }
}

impl Service<Request<Body>> for Connection {
    type Response = Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The deadline of a `Channel` begins only after the key is known and the connection is made.
        let deadline = grpc_timeout(request.headers());
        let response = self.clone().send(request);
        Box::pin(async move {
            match deadline {
                Some(time) => timeout(time, response).await.unwrap_or_else(|_| Err(too_late())),
                None => response.await,
            }
        })
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Connection")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// Opens the channel with the first call, since tonic needs a runtime for this.
struct Opener {
    open: Box<dyn Fn() -> Channel + Send + Sync>,
    opened: Mutex<Option<Channel>>,
}

impl Opener {
    async fn ready(&self) -> Result<Channel, transport::Error> {
        let mut channel = self.channel(false);
        if channel.ready().await.is_err() {
            // The runtime in which it was opened has ended.
            channel = self.channel(true);
            channel.ready().await?;
        }
        Ok(channel)
    }

    fn channel(&self, anew: bool) -> Channel {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if anew {
            *opened = None;
        }
        opened.get_or_insert_with(&self.open).clone()
    }
}

/// Read the header that `Request::set_timeout` sets: at most 8 digits, and a unit.
pub(crate) fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let count: u32 = digits.parse().ok()?;
    let unit = match unit {
        "H" => Duration::from_secs(3600),
        "M" => Duration::from_secs(60),
        "S" => Duration::from_secs(1),
        "m" => Duration::from_millis(1),
        "u" => Duration::from_micros(1),
        "n" => Duration::from_nanos(1),
        _ => return None,
    };
    Some(unit * count)
}

pub(crate) fn too_late() -> Status {
    Status::deadline_exceeded("the deadline passed before Till answered")
}

/// Return the status of a call without an answer. tonic's own would be UNKNOWN or CANCELLED for most losses.
fn lost(error: transport::Error, last_failure: &LastFailure) -> Status {
    let mut cause: &dyn Error = &error;
    let mut what = "the connection to Till was lost";
    while let Some(deeper) = cause.source() {
        if deeper.is::<TimeoutExpired>() {
            return too_late();
        }
        if deeper.is::<ConnectError>() {
            what = "cannot connect to Till";
        }
        cause = deeper;
    }
    // tonic drops the cause if a new connection fails before a call is written to it.
    let cause = last_failure.recent().unwrap_or_else(|| cause.to_string());
    let mut status = Status::unavailable(format!("{what}: {cause}"));
    status.set_source(Arc::new(error));
    status
}
