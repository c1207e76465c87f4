//! Event streams of a Till in memory. The clock is paused: it advances to the next timer when nothing else is to be
//! done.

mod support;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::body::Incoming;
use support::{answered_by, till_error};
use till_client::tonic::{Code, Request, Response, Status, body::Body, server};
use till_client::v1::watch_events_request::Start;
use till_client::v1::{Event, EventFilter, LogPosition, WatchEventsRequest, WatchEventsResponse};
use till_client::{Client, ConnectionChange, ErrorCode, EventOptions, EventStart, Events};
use tokio::time::{Instant, sleep};
use tokio_stream::{Stream, StreamExt};
use tonic_types::{ErrorDetails, StatusExt};

type Message = Result<WatchEventsResponse, Status>;
type Messages = Pin<Box<dyn Stream<Item = Message> + Send>>;

/// The messages of each stream, and the requests.
#[derive(Clone, Default)]
struct Till {
    streams: Arc<Mutex<VecDeque<Messages>>>,
    asked: Arc<Mutex<Vec<WatchEventsRequest>>>,
}

impl Till {
    /// A Till whose first stream has the first messages, and so on. Later ones get PERMISSION_DENIED.
    fn new(streams: impl IntoIterator<Item = Vec<Message>>) -> Self {
        let streams = streams
            .into_iter()
            .map(|messages| Box::pin(tokio_stream::iter(messages)) as Messages);
        Self {
            streams: Arc::new(Mutex::new(streams.collect())),
            asked: Arc::default(),
        }
    }

    fn events(&self, options: impl Into<EventOptions>) -> Events {
        let till = self.clone();
        let client = Client::connect(answered_by(move |request| till.clone().answer(request))).unwrap();
        client.events(options)
    }

    fn starts(&self) -> Vec<Start> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|request| request.start.clone().unwrap()).collect()
    }

    async fn answer(self, request: hyper::Request<Incoming>) -> hyper::Response<Body> {
        let watch = tower::service_fn(|request: Request<WatchEventsRequest>| {
            self.asked.lock().unwrap().push(request.into_inner());
            let messages = self.streams.lock().unwrap().pop_front();
            async { messages.map(Response::new).ok_or_else(end) }
        });
        let codec = tonic_prost::ProstCodec::<WatchEventsResponse, WatchEventsRequest>::default();
        server::Grpc::new(codec).server_streaming(watch, request).await
    }
}

fn end() -> Status {
    till_error(Code::PermissionDenied, "E4", None)
}

fn lost() -> Message {
    Err(Status::unavailable("gone"))
}

fn batch<const N: usize>(sequences: [u64; N]) -> Message {
    let event = |sequence| Event {
        sequence,
        ..Default::default()
    };
    Ok(WatchEventsResponse {
        events: sequences.map(event).to_vec(),
        next_after: *sequences.last().unwrap(),
        ..Default::default()
    })
}

fn heartbeat(next_after: u64) -> Message {
    Ok(WatchEventsResponse {
        next_after,
        ..Default::default()
    })
}

/// Read until the first error.
async fn sequences(mut events: Events) -> (Vec<u64>, till_client::Error) {
    let mut sequences = Vec::new();
    loop {
        match events.try_next().await {
            Ok(event) => sequences.push(event.unwrap().sequence),
            Err(error) => return (sequences, error),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_stream_continues_behind_its_last_event_and_gives_each_event_once() {
    let till = Till::new([vec![batch([8, 9]), lost()], vec![batch([9, 10])], vec![batch([11])]]);
    let (seen, error) = sequences(till.events(EventStart::After(7))).await;
    assert_eq!(seen, [8, 9, 10, 11]);
    assert_eq!(till.starts(), [7, 9, 10, 11].map(Start::After));
    assert_eq!(error.code(), Some(ErrorCode::PermissionDenied));
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_moves_the_place_where_a_filtered_stream_continues() {
    let till = Till::new([vec![heartbeat(20), heartbeat(35), lost()], vec![batch([36])]]);
    let options = EventOptions::default().types(["invoice.paid"]).metadata_type("shop");
    assert_eq!(sequences(till.events(options)).await.0, [36]);
    let now = Start::From(LogPosition::Now.into());
    assert_eq!(till.starts(), [now, Start::After(35), Start::After(36)]);
    for request in till.asked.lock().unwrap().iter() {
        let filter = EventFilter {
            types: vec!["invoice.paid".to_owned()],
            metadata_type: Some("shop".to_owned()),
        };
        assert_eq!(request.filter, Some(filter));
    }
}

#[tokio::test(start_paused = true)]
async fn the_start_is_a_sequence_the_beginning_now_or_a_cursor() {
    for (start, expected) in [
        (EventStart::After(0), Start::After(0)),
        (EventStart::Beginning, Start::From(LogPosition::Beginning.into())),
        (EventStart::Now, Start::From(LogPosition::Now.into())),
        (EventStart::Cursor("c1".to_owned()), Start::Cursor("c1".to_owned())),
    ] {
        let till = Till::new([]);
        sequences(till.events(start)).await;
        assert_eq!(till.starts(), [expected]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_of_all_users_continues_at_its_cursor_and_has_the_sequences_of_each_user() {
    let with_cursor = |message: Message, cursor: &str| {
        message.map(|batch| WatchEventsResponse {
            next_cursor: cursor.to_owned(),
            ..batch
        })
    };
    let first = vec![
        with_cursor(batch([5, 2]), "c2"),
        with_cursor(heartbeat(0), "c4"),
        lost(),
    ];
    let till = Till::new([first, vec![with_cursor(batch([3]), "c5")]]);
    let options = EventOptions::new(EventStart::Beginning).all_users(true);
    assert_eq!(sequences(till.events(options)).await.0, [5, 2, 3]);
    let cursors = ["c4", "c5"].map(|cursor| Start::Cursor(cursor.to_owned()));
    assert_eq!(till.starts()[1..], cursors);
    assert!(till.asked.lock().unwrap().iter().all(|request| request.all_users));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_silent_for_45_s_is_lost_however_long_the_caller_takes() {
    let till = Till::new([vec![], vec![batch([3])]]);
    let silent = tokio_stream::iter([batch([1]), batch([2])]).chain(tokio_stream::pending());
    till.streams.lock().unwrap()[0] = Box::pin(silent);
    let changes = Arc::new(Mutex::new(Vec::new()));
    let record = changes.clone();
    let options = EventOptions::default().on_connection(move |change| {
        if let ConnectionChange::Lost { error, .. } = change {
            record.lock().unwrap().push(error.to_string());
        }
    });
    let mut events = till.events(options);
    events.try_next().await.unwrap();
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(events.try_next().await.unwrap().unwrap().sequence, 2);
    let started = Instant::now();
    assert_eq!(events.try_next().await.unwrap().unwrap().sequence, 3);
    let waited = started.elapsed().as_secs_f64();
    assert!((45.0..45.2).contains(&waited), "{waited}");
    assert_eq!(till.starts()[1], Start::After(2));
    assert_eq!(
        *changes.lock().unwrap(),
        ["the connection to Till was lost: no response for 45 s"]
    );
}

#[tokio::test(start_paused = true)]
async fn before_its_first_message_a_stream_fails_like_a_call_unless_it_waits_for_ready() {
    let till = Till::new([vec![lost()], vec![batch([1])]]);
    let (seen, error) = sequences(till.events(EventStart::Now)).await;
    assert_eq!((seen.len(), error.status().code()), (0, Code::Unavailable));
    let till = Till::new([vec![lost()], vec![batch([1])]]);
    let options = EventOptions::default().wait_for_ready(true);
    assert_eq!(sequences(till.events(options)).await.0, [1]);
}

#[tokio::test(start_paused = true)]
async fn the_error_of_a_gap_has_the_oldest_sequence_that_is_left() {
    for (oldest, expected) in [("9007199254740993", Some(9_007_199_254_740_993)), ("", None)] {
        let metadata = [("code", "E16"), ("oldest_sequence", oldest)];
        let metadata = metadata.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let details = ErrorDetails::with_error_info("EVENTS_GONE", "till", metadata);
        let gone = Status::with_error_details(Code::OutOfRange, "removed", details);
        let till = Till::new([vec![Err(gone)]]);
        let mut events = till.events(EventStart::After(5));
        let error = events.try_next().await.unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::EventsGone));
        assert_eq!(error.oldest_sequence(), expected);
        assert!(events.next().await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn the_error_of_a_deadline_names_the_last_loss() {
    let first: Messages = Box::pin(tokio_stream::iter([batch([1]), lost()]));
    let till = Till::default();
    let second: Messages = Box::pin(tokio_stream::pending());
    till.streams.lock().unwrap().extend([first, second]);
    let options = EventOptions::default().timeout(Duration::from_secs(10));
    let (seen, error) = sequences(till.events(options)).await;
    assert_eq!((seen, error.status().code()), (vec![1], Code::DeadlineExceeded));
    assert_eq!(
        error.message(),
        "the deadline of the event stream passed; last error: gone"
    );
}
