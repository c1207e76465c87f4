//! Streams that are opened again when their connection is lost.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout, timeout_at};
use tonic::{Response, Status, Streaming};

use crate::error::Error;
use crate::pause::pause;

/// Options of [`Client::watch_with`](crate::Client::watch_with).
#[derive(Clone, Default)]
#[must_use]
pub struct WatchOptions {
    wait_for_ready: bool,
    timeout: Option<Duration>,
    on_connection: Option<Arc<dyn Fn(ConnectionChange) + Send + Sync>>,
}

impl WatchOptions {
    /// The defaults: no waiting for the first connection, no deadline, no callback.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reconnect before the first message too. By default such an error ends the watch, as it ends a call.
    pub fn wait_for_ready(mut self, wait_for_ready: bool) -> Self {
        self.wait_for_ready = wait_for_ready;
        self
    }

    /// End the watch with DEADLINE_EXCEEDED after this time, from the first `next` on. It covers all connections.
    ///
    /// The message and [`source`](std::error::Error::source) of the error are those of the last loss.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Call a function when the connection is lost, and when it is back. It must not block.
    pub fn on_connection(mut self, callback: impl Fn(ConnectionChange) + Send + Sync + 'static) -> Self {
        self.on_connection = Some(Arc::new(callback));
        self
    }
}

impl fmt::Debug for WatchOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("WatchOptions")
            .field("wait_for_ready", &self.wait_for_ready)
            .field("timeout", &self.timeout)
            .field("on_connection", &self.on_connection.is_some())
            .finish()
    }
}

/// A change of the connection of a watch or an event stream.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConnectionChange {
    /// The connection is lost, or could not be made; the stream pauses, and reconnects.
    #[non_exhaustive]
    Lost {
        /// Failures in a row, from 1.
        attempt: u32,
        /// The error of this attempt.
        error: Error,
    },
    /// The first message after a loss arrived. Its state follows, if it is new.
    #[non_exhaustive]
    Restored {
        /// Failures in a row before.
        attempt: u32,
    },
}

/// A call that returns a stream.
pub(crate) trait Source: Send {
    /// The messages of the stream.
    type Message: Send;
    /// The error if the server ends the stream.
    const EARLY: &str;
    /// The error of the deadline.
    const LATE: &str;
    /// How long a stream may be silent. None: until it is lost.
    const SILENCE: Option<Duration>;

    /// Open the stream.
    fn open(&mut self) -> impl Future<Output = Result<Response<Streaming<Self::Message>>, Status>> + Send;
}

/// The messages of a source over all its connections.
pub(crate) struct Reconnecting<S: Source> {
    pub(crate) source: S,
    options: WatchOptions,
    deadline: Option<Instant>,
    stream: Option<Streaming<S::Message>>,
    has_begun: bool,
    /// In a row.
    failures: u32,
    last_loss: Option<Error>,
}

impl<S: Source> Reconnecting<S> {
    /// Begin the time of the deadline. Nothing is sent before the first `next`.
    pub(crate) fn new(source: S, options: WatchOptions) -> Self {
        Self {
            source,
            deadline: options.timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
            has_begun: options.wait_for_ready,
            options,
            stream: None,
            failures: 0,
            last_loss: None,
        }
    }

    /// Wait for a message. Reconnect as often as it takes, until waiting does not help.
    pub(crate) async fn next(&mut self) -> Result<S::Message, Error> {
        let Some(deadline) = self.deadline else {
            return self.message().await;
        };
        let message = timeout_at(deadline, self.message()).await;
        message.unwrap_or_else(|_| Err(too_late(S::LATE, self.last_loss.take())))
    }

    async fn message(&mut self) -> Result<S::Message, Error> {
        loop {
            let received = match S::SILENCE {
                Some(time) => timeout(time, self.receive())
                    .await
                    .unwrap_or_else(|_| Err(silent(time))),
                None => self.receive().await,
            };
            match received {
                Ok(message) => {
                    self.has_begun = true;
                    if self.failures > 0 {
                        let attempt = std::mem::take(&mut self.failures);
                        self.report(ConnectionChange::Restored { attempt });
                    }
                    return Ok(message);
                }
                Err(status) => self.pause_after(status.into()).await?,
            }
        }
    }

    async fn receive(&mut self) -> Result<S::Message, Status> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => none.insert(self.source.open().await?.into_inner()),
        };
        let message = stream.message().await?;
        message.ok_or_else(|| Status::unavailable(S::EARLY))
    }

    async fn pause_after(&mut self, error: Error) -> Result<(), Error> {
        self.stream = None;
        let Some(pause) = pause(&error, self.failures).filter(|_| self.has_begun) else {
            return Err(error);
        };
        self.failures += 1;
        self.report(ConnectionChange::Lost {
            attempt: self.failures,
            error: error.clone(),
        });
        self.last_loss = Some(error);
        sleep(pause).await;
        Ok(())
    }

    fn report(&self, change: ConnectionChange) {
        if let Some(callback) = &self.options.on_connection {
            callback(change);
        }
    }
}

fn silent(time: Duration) -> Status {
    let seconds = time.as_secs();
    Status::unavailable(format!("the connection to Till was lost: no response for {seconds} s"))
}

fn too_late(message: &str, last_loss: Option<Error>) -> Error {
    let mut message = message.to_owned();
    if let Some(loss) = &last_loss {
        message = format!("{message}; last error: {loss}");
    }
    let mut status = Status::deadline_exceeded(message);
    if let Some(loss) = last_loss {
        status.set_source(Arc::new(loss));
    }
    status.into()
}
