//! The event stream, which reconnects.

use std::time::Duration;

use async_stream::try_stream;
use tonic::{Response, Status, Streaming};

use crate::connection::Connection;
use crate::items::Items;
use crate::reconnect::{ConnectionChange, Reconnecting, Source, WatchOptions};
use crate::v1::event_service_client::EventServiceClient;
use crate::v1::watch_events_request::Start;
use crate::v1::{Event, EventFilter, LogPosition, WatchEventsRequest, WatchEventsResponse};

/// The events of a log, each once and in order.
pub type Events = Items<Event>;

/// Where an event stream begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventStart {
    /// Behind the event with this sequence, the last one that was handled. 0: before the first event.
    After(u64),
    /// Before the oldest event that is left.
    Beginning,
    /// Behind the newest event: from now on.
    #[default]
    Now,
    /// Behind the event of any user with this [`cursor`](Event::cursor). Needs [`EventOptions::all_users`].
    Cursor(String),
}

/// Options of [`Client::events`](crate::Client::events). The default: all events from now on.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct EventOptions {
    start: EventStart,
    types: Vec<String>,
    metadata_type: Option<String>,
    all_users: bool,
    stream: WatchOptions,
}

impl EventOptions {
    /// All events from this start on.
    pub fn new(start: EventStart) -> Self {
        let options = Self::default();
        Self { start, ..options }
    }

    /// Only events of these types, such as `["invoice.paid"]`.
    pub fn types<T: Into<String>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.types = types.into_iter().map(Into::into).collect();
        self
    }

    /// Only events of invoices with this type in their metadata.
    pub fn metadata_type(mut self, metadata_type: impl Into<String>) -> Self {
        self.metadata_type = Some(metadata_type.into());
        self
    }

    /// Read the logs of all users. Needs the scope admin. Each event then has a [`cursor`](Event::cursor) to continue
    /// behind, since sequences are per user.
    pub fn all_users(mut self, all_users: bool) -> Self {
        self.all_users = all_users;
        self
    }

    /// Reconnect before the first message too. By default such an error ends the stream, as it ends a call.
    pub fn wait_for_ready(mut self, wait_for_ready: bool) -> Self {
        self.stream = self.stream.wait_for_ready(wait_for_ready);
        self
    }

    /// End the stream with DEADLINE_EXCEEDED after this time, from the first `next` on. It covers all connections.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.stream = self.stream.timeout(timeout);
        self
    }

    /// Call a function when the connection is lost, and when it is back. It must not block.
    pub fn on_connection(mut self, callback: impl Fn(ConnectionChange) + Send + Sync + 'static) -> Self {
        self.stream = self.stream.on_connection(callback);
        self
    }
}

/// As [`EventOptions::new`].
impl From<EventStart> for EventOptions {
    fn from(start: EventStart) -> Self {
        Self::new(start)
    }
}

pub(crate) fn events(log: EventServiceClient<Connection>, options: EventOptions) -> Events {
    let start = match options.start {
        EventStart::After(sequence) => Start::After(sequence),
        EventStart::Beginning => Start::From(LogPosition::Beginning.into()),
        EventStart::Now => Start::From(LogPosition::Now.into()),
        EventStart::Cursor(cursor) => Start::Cursor(cursor),
    };
    // Sequences begin at 1.
    let mut last = if let Start::After(sequence) = start {
        sequence
    } else {
        0
    };
    let (all_users, stream) = (options.all_users, options.stream);
    let filter = EventFilter {
        types: options.types,
        metadata_type: options.metadata_type,
    };
    let request = WatchEventsRequest {
        start: Some(start),
        filter: Some(filter),
        all_users,
    };
    Items::new(try_stream! {
        let mut batches = Reconnecting::new(Batches { log, request }, stream);
        loop {
            let batch = batches.next().await?;
            // Set even if there are no events, so that a filtered stream continues at the end of the log.
            batches.source.request.start = Some(match all_users {
                true => Start::Cursor(batch.next_cursor),
                false => Start::After(batch.next_after),
            });
            for event in batch.events {
                if !all_users {
                    if event.sequence <= last {
                        continue;
                    }
                    last = event.sequence;
                }
                yield event;
            }
        }
    })
}

struct Batches {
    log: EventServiceClient<Connection>,
    request: WatchEventsRequest,
}

impl Source for Batches {
    type Message = WatchEventsResponse;
    const EARLY: &str = "the event stream ended";
    const LATE: &str = "the deadline of the event stream passed";
    // Three heartbeats. A proxy may answer pings for a Till that is gone.
    const SILENCE: Option<Duration> = Some(Duration::from_secs(45));

    async fn open(&mut self) -> Result<Response<Streaming<WatchEventsResponse>>, Status> {
        self.log.watch_events(self.request.clone()).await
    }
}
