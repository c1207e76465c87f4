//! TCP connections that fail within 5 s.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use tonic::codegen::http::Uri;
use tower::Service;

/// For name lookup, TCP, and the first byte of the server, which is part of TLS or of HTTP/2.
const TIME_LIMIT: Duration = Duration::from_secs(5);
/// tonic connects once per waiting call, one after the other. Each of them would wait for 5 s.
const SHARED: Duration = Duration::from_millis(50);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Connector {
    http: HttpConnector,
    last_failure: LastFailure,
}

impl Connector {
    pub(crate) fn new(last_failure: LastFailure) -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        // Divided among the addresses of a name, so that one that does not answer leaves time for the others.
        http.set_connect_timeout(Some(TIME_LIMIT));
        Self { http, last_failure }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.http.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let last_failure = self.last_failure.clone();
        if let Some(message) = last_failure.recent() {
            return Box::pin(async { Err(message.into()) });
        }
        let tls = uri.scheme_str() == Some("https");
        let connecting = self.http.call(uri);
        Box::pin(async move {
            let started = Instant::now();
            let deadline = started + TIME_LIMIT;
            let connected: Result<_, BoxError> = match timeout_at(deadline, connecting).await {
                Ok(connected) => connected.map_err(Into::into),
                Err(_) => Err(no_answer().into()),
            };
            // A refused connection is no burden to the calls that wait.
            if let Err(error) = &connected
                && started.elapsed() > SHARED
            {
                last_failure.set(error);
            }
            let stream = connected?;
            Ok(TokioIo::new(Stream {
                stream: stream.into_inner(),
                tls,
                silence: Some(Box::pin(sleep_until(deadline))),
                last_failure,
            }))
        })
    }
}

fn no_answer() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer within 5 s")
}

/// The last failure that all waiting calls share.
#[derive(Clone, Default)]
pub(crate) struct LastFailure(Arc<Mutex<Option<(Instant, String)>>>);

impl LastFailure {
    pub(crate) fn recent(&self) -> Option<String> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, message) = last.as_ref()?;
        (at.elapsed() < SHARED).then(|| message.clone())
    }

    fn set(&self, error: &dyn ToString) {
        let last = (Instant::now(), error.to_string());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
    }
}

/// A TCP connection, which fails if the server sends nothing before the deadline, or speaks another protocol.
pub(crate) struct Stream {
    stream: TcpStream,
    tls: bool,
    /// Until the first byte.
    silence: Option<Pin<Box<Sleep>>>,
    last_failure: LastFailure,
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let start = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        let Some(silence) = &mut self.silence else {
            return read;
        };
        let checked = if read.is_pending() {
            ready!(silence.as_mut().poll(context));
            Err(no_answer())
        } else {
            ready!(read)?;
            check(self.tls, into.filled()[start..].first().copied())
        };
        self.silence = None;
        Poll::Ready(checked.inspect_err(|error| self.last_failure.set(error)))
    }
}

/// Check the first byte of the server. The libraries' own errors do not name the cause.
fn check(tls: bool, first: Option<u8>) -> io::Result<()> {
    let wrong = match (tls, first) {
        // The types of a TLS record: alert and handshake.
        (true, Some(0x15 | 0x16)) => return Ok(()),
        // The high byte of the length of the first HTTP/2 frame.
        (false, Some(0)) => return Ok(()),
        (true, None) => "the server closed the connection before it sent anything",
        (false, None) => "the server closed the connection before it sent anything; if it speaks TLS, use tls or ca",
        (true, _) => "the server does not speak TLS; connect without TLS, or check the address",
        (false, Some(0x15)) => "the server speaks TLS; use tls or ca",
        (false, _) => "the server does not speak HTTP/2; check that this is the gRPC address of Till",
    };
    Err(io::Error::new(io::ErrorKind::InvalidData, wrong))
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
