//! Watches of a Till in memory. The clock is paused: it advances to the next timer when nothing else is to be done.

mod support;

use std::collections::VecDeque;
use std::error::Error as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::body::Incoming;
use support::{answered_by, till_error};
use till_client::tonic::{Code, Request, Response, Status, body::Body, server};
use till_client::v1::InvoiceStatus::{Canceled, Paid, Unpaid};
use till_client::v1::{Invoice, InvoiceStatus, WatchInvoiceRequest, WatchInvoiceResponse};
use till_client::{Client, ConnectionChange, ErrorCode, Options, Watch, WatchOptions};
use tokio::time::{Instant, timeout};

type Message = Result<WatchInvoiceResponse, Status>;

/// The messages of each watch, and the keys that came with them.
#[derive(Clone, Default)]
struct Till {
    watches: Arc<Mutex<VecDeque<Vec<Message>>>>,
    keys: Arc<Mutex<Vec<String>>>,
}

impl Till {
    /// A Till that answers the first watch with the first messages, and so on. Later ones get UNAVAILABLE.
    fn new(watches: impl IntoIterator<Item = Vec<Message>>) -> Self {
        Self {
            watches: Arc::new(Mutex::new(watches.into_iter().collect())),
            keys: Arc::default(),
        }
    }

    fn options(&self) -> Options {
        let till = self.clone();
        answered_by(move |request| till.clone().answer(request))
    }

    async fn answer(self, request: hyper::Request<Incoming>) -> hyper::Response<Body> {
        if let Some(key) = request.headers().get("authorization") {
            self.keys.lock().unwrap().push(key.to_str().unwrap().to_owned());
        }
        let watch = tower::service_fn(|_: Request<WatchInvoiceRequest>| {
            let messages = self.watches.lock().unwrap().pop_front();
            async {
                let messages = messages.ok_or_else(|| Status::unavailable("no more watches"))?;
                Ok::<_, Status>(Response::new(tokio_stream::iter(messages)))
            }
        });
        let codec = tonic_prost::ProstCodec::<WatchInvoiceResponse, WatchInvoiceRequest>::default();
        server::Grpc::new(codec).server_streaming(watch, request).await
    }
}

fn state(status: InvoiceStatus) -> Message {
    let mut invoice = Invoice::default();
    invoice.set_status(status);
    Ok(WatchInvoiceResponse { invoice: Some(invoice) })
}

fn client(till: &Till) -> Client {
    Client::connect(till.options()).unwrap()
}

fn lost() -> Message {
    Err(Status::unavailable("gone"))
}

async fn statuses(mut watch: Watch) -> Vec<till_client::v1::InvoiceStatus> {
    let mut statuses = Vec::new();
    while let Some(invoice) = watch.try_next().await.unwrap() {
        statuses.push(invoice.status());
    }
    statuses
}

#[tokio::test(start_paused = true)]
async fn before_the_first_state_a_loss_ends_the_watch() {
    let till = Till::new([vec![lost()], vec![state(Paid)]]);
    let mut watch = client(&till).watch("id");
    let error = watch.next().await.unwrap().unwrap_err();
    assert_eq!((error.status().code(), error.message()), (Code::Unavailable, "gone"));
    assert!(watch.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn wait_for_ready_reconnects_before_the_first_state() {
    let till = Till::new([vec![lost()], vec![state(Paid)]]);
    let options = WatchOptions::new().wait_for_ready(true);
    assert_eq!(statuses(client(&till).watch_with("id", options)).await, [Paid]);
}

#[tokio::test(start_paused = true)]
async fn canceled_is_final() {
    let till = Till::new([vec![state(Unpaid), state(Canceled), lost()]]);
    assert_eq!(statuses(client(&till).watch("id")).await, [Unpaid, Canceled]);
}

#[tokio::test(start_paused = true)]
async fn an_error_with_a_time_to_wait_is_a_pause() {
    let busy = till_error(Code::ResourceExhausted, "E7", Some(Duration::from_secs(10)));
    let till = Till::new([vec![state(Unpaid), Err(busy)], vec![state(Unpaid), state(Paid)]]);
    let started = Instant::now();
    assert_eq!(statuses(client(&till).watch("id")).await, [Unpaid, Paid]);
    let pause = started.elapsed().as_secs_f64();
    assert!((10.0..15.1).contains(&pause), "{pause}");
}

#[tokio::test(start_paused = true)]
async fn an_error_without_a_time_to_wait_ends_the_watch() {
    let busy = till_error(Code::ResourceExhausted, "E7", None);
    let till = Till::new([vec![state(Unpaid), Err(busy)]]);
    let mut watch = client(&till).watch("id");
    watch.try_next().await.unwrap();
    let error = watch.try_next().await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::TooMany));
    assert_eq!(error.to_string(), "E7: an error of Till");
    assert!(watch.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_to_1_5_s_and_have_jitter() {
    let pauses = [0.1, 0.2, 0.4, 0.8, 1.5, 1.5, 1.5];
    let mut watches = vec![vec![state(Unpaid), lost()]];
    watches.extend(pauses[1..].iter().map(|_| vec![lost()]));
    watches.push(vec![state(Paid)]);
    let till = Till::new(watches);
    let (seen, options) = changes();
    let started = Instant::now();
    assert_eq!(statuses(client(&till).watch_with("id", options)).await, [Unpaid, Paid]);
    let waited = started.elapsed().as_secs_f64();
    let longest: f64 = pauses.iter().sum();
    assert!((longest / 2.0..longest).contains(&waited), "{waited}");
    let seen = seen.lock().unwrap();
    let expected: Vec<_> = (1..=7).map(|attempt| format!("lost {attempt} gone")).collect();
    assert_eq!(seen[..7], expected);
    assert_eq!(seen[7..], ["restored 7"]);
}

#[tokio::test(start_paused = true)]
async fn an_end_before_the_final_state_is_a_loss() {
    let till = Till::new([vec![state(Unpaid)], vec![state(Unpaid), state(Paid)]]);
    let (seen, options) = changes();
    assert_eq!(statuses(client(&till).watch_with("id", options)).await, [Unpaid, Paid]);
    assert_eq!(
        *seen.lock().unwrap(),
        ["lost 1 the watch ended before the invoice was final", "restored 1"]
    );
}

#[tokio::test(start_paused = true)]
async fn the_error_of_the_deadline_has_the_last_loss() {
    let till = Till::new([vec![state(Unpaid), lost()]]);
    let started = Instant::now();
    let options = WatchOptions::new().timeout(Duration::from_secs(60));
    let mut watch = client(&till).watch_with("id", options);
    watch.try_next().await.unwrap();
    let error = watch.try_next().await.unwrap_err();
    assert_eq!(started.elapsed().as_secs(), 60);
    assert_eq!(error.status().code(), Code::DeadlineExceeded);
    assert!(error.message().ends_with("last error: no more watches"), "{error}");
    assert_eq!(error.source().unwrap().to_string(), "no more watches");
    assert!(watch.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_next_loses_nothing() {
    let till = Till::new([vec![state(Unpaid), lost()], vec![state(Paid)]]);
    let mut watch = client(&till).watch("id");
    watch.try_next().await.unwrap();
    let mut ticks = 0;
    let paid = loop {
        match timeout(Duration::from_millis(10), watch.try_next()).await {
            Ok(invoice) => break invoice.unwrap().unwrap(),
            Err(_) => ticks += 1,
        }
        assert!(ticks < 20, "the pause must not begin again");
    };
    assert_eq!(paid.status(), Paid);
    assert!(ticks >= 4);
}

#[tokio::test(start_paused = true)]
async fn the_key_function_is_asked_before_each_attempt() {
    let till = Till::new([vec![state(Unpaid), lost()], vec![state(Unpaid), lost()]]);
    let keys = Arc::new(Mutex::new(vec![Err("no key any more"), Ok(" till_b\n"), Ok("till_a")]));
    let options = till.options().key_fn(move || {
        let key = keys.lock().unwrap().pop().unwrap();
        async move { key.map(str::to_owned) }
    });
    let mut watch = Client::connect(options).unwrap().watch("id");
    watch.try_next().await.unwrap();
    let error = watch.try_next().await.unwrap_err();
    assert_eq!(*till.keys.lock().unwrap(), ["Bearer till_a", "Bearer till_b"]);
    assert_eq!(error.status().code(), Code::Unauthenticated);
    assert_eq!(error.message(), "the key function failed: no key any more");
    assert_eq!(error.source().unwrap().to_string(), "no key any more");
}

/// Options that record the changes of the connection.
fn changes() -> (Arc<Mutex<Vec<String>>>, WatchOptions) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = seen.clone();
    let options = WatchOptions::new().on_connection(move |change| {
        let text = match change {
            ConnectionChange::Lost { attempt, error, .. } => format!("lost {attempt} {error}"),
            ConnectionChange::Restored { attempt, .. } => format!("restored {attempt}"),
            other => format!("{other:?}"),
        };
        record.lock().unwrap().push(text);
    });
    (seen, options)
}
