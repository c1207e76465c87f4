//! The agent of the Rust client: see clients/conformance/README.md.

mod answers;

use std::collections::HashMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use answers::{answer, connection, say};
use prost_reflect::prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use serde_json::{Value, json};
use till_client::tonic::{Request, Status};
use till_client::v1::watch_events_request::Start;
use till_client::v1::{
    ListDeliveriesResponse, LogPosition, WatchEventsRequest, WatchEventsResponse, WatchInvoiceRequest,
    WatchInvoiceResponse,
};
use till_client::{Client, ConnectionChange, EventOptions, EventStart, Items, Options, WatchOptions};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let protos = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let services = ["invoice", "event", "webhook"].map(|name| format!("till/v1/{name}_service.proto"));
    let files = protox::compile(services, [protos])?;
    let pool = DescriptorPool::from_file_descriptor_set(files)?;
    let mut till = None;
    let mut running = JoinSet::new();
    // Dropping one cancels the operation with this id.
    let mut cancels = HashMap::new();
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let command: Value = serde_json::from_str(&line)?;
        match command["op"].as_str() {
            Some("connect") => {
                let connected = connect(&command).map(|client| till = Some(client));
                answer(&command, connected.map(|()| json!({})));
            }
            Some("cancel") => {
                cancels.remove(&command["call"].to_string());
                answer(&command, Ok(json!({})));
            }
            _ => {
                let (cancel, cancelled) = oneshot::channel::<()>();
                cancels.insert(command["id"].to_string(), cancel);
                let operation = till.clone().map(|till| Operation {
                    till,
                    pool: pool.clone(),
                    command: command.clone(),
                });
                running.spawn(async move {
                    let done = tokio::select! {
                        done = async { operation.ok_or("connect first")?.run().await } => done,
                        _ = cancelled => Err(Status::cancelled("").into()),
                    };
                    answer(&command, done);
                });
            }
        }
    }
    drop(cancels);
    running.join_all().await;
    Ok(())
}

fn connect(command: &Value) -> Result<Client, Failure> {
    let mut options = Options::new(text(command, "address")?).allow_plaintext_key(flag(command, "allow_plaintext_key"));
    if let Ok(key) = text(command, "key") {
        options = options.key(key);
    }
    if let Ok(file) = text(command, "key_file") {
        let file = PathBuf::from(file);
        options = options.key_fn(move || tokio::fs::read_to_string(file.clone()));
    }
    if let Ok(file) = text(command, "ca_file") {
        options = options.ca(std::fs::read(file)?);
    }
    Ok(Client::connect(options)?)
}

/// A request that the client carries out.
struct Operation {
    till: Client,
    pool: DescriptorPool,
    command: Value,
}

impl Operation {
    async fn run(self) -> Result<Value, Failure> {
        match text(&self.command, "op")? {
            "call" => self.call().await,
            "list" => self.list().await,
            "export" => self.export().await,
            "events" => self.events().await,
            _ => self.watch().await,
        }
    }

    async fn call(self) -> Result<Value, Failure> {
        let method = self.method(text(&self.command, "method")?)?;
        macro_rules! call {
            ($name:ident) => {{
                let response = self.till.$name(self.request(&method)?).await?;
                // The driver checks that this shows no secret.
                eprintln!("{response:?}");
                write(&method, &response)
            }};
        }
        match method.name() {
            "CreateInvoice" => call!(create_invoice),
            "GetInvoice" => call!(get_invoice),
            "GetInvoiceById" => call!(get_invoice_by_id),
            "LookupInvoice" => call!(lookup_invoice),
            "ListInvoices" => call!(list_invoices),
            "CancelInvoice" => call!(cancel_invoice),
            "GetReport" => call!(get_report),
            "GetInfo" => call!(get_info),
            "ListEvents" => call!(list_events),
            "CreateWebhook" => call!(create_webhook),
            "GetWebhook" => call!(get_webhook),
            "ListWebhooks" => call!(list_webhooks),
            "UpdateWebhook" => call!(update_webhook),
            "DeleteWebhook" => call!(delete_webhook),
            "RotateSecret" => call!(rotate_secret),
            "TestWebhook" => call!(test_webhook),
            "RedeliverEvent" => call!(redeliver_event),
            "ReplayEvents" => call!(replay_events),
            other => Err(format!("no such call: {other}").into()),
        }
    }

    async fn list(self) -> Result<Value, Failure> {
        if self.command["method"] == "ListDeliveries" {
            let method = self.method("ListDeliveries")?;
            let deliveries = self.till.deliveries(self.request(&method)?);
            return self
                .report(deliveries, |delivery| {
                    let page = ListDeliveriesResponse {
                        deliveries: vec![delivery],
                        ..Default::default()
                    };
                    Ok(json!({"delivery": write(&method, &page)?["deliveries"][0]}))
                })
                .await;
        }
        let state = self.method("WatchInvoice")?;
        let list = self.till.list(self.request(&self.method("ListInvoices")?)?);
        self.report(list, |invoice| {
            write(&state, &WatchInvoiceResponse { invoice: Some(invoice) })
        })
        .await
    }

    /// Report the items, up to the limit of the command.
    async fn report<T>(
        &self,
        mut items: Items<T>,
        event: impl Fn(T) -> Result<Value, Failure>,
    ) -> Result<Value, Failure> {
        let mut left = self.command["limit"].as_u64().unwrap_or(u64::MAX);
        while left > 0
            && let Some(item) = items.try_next().await?
        {
            say(&self.command, "event", event(item)?);
            left -= 1;
        }
        Ok(json!({}))
    }

    async fn export(self) -> Result<Value, Failure> {
        let method = self.method("ExportInvoices")?;
        let mut export = self.till.export(self.request(&method)?);
        while let Some(part) = export.try_next().await? {
            say(&self.command, "event", write(&method, &part)?);
        }
        Ok(json!({}))
    }

    async fn watch(self) -> Result<Value, Failure> {
        let method = self.method("WatchInvoice")?;
        let request: WatchInvoiceRequest = read(&method, &self.command)?;
        let mut options = WatchOptions::new().wait_for_ready(flag(&self.command, "wait_for_ready"));
        if let Some(timeout) = self.timeout() {
            options = options.timeout(timeout);
        }
        if flag(&self.command, "connection") {
            options = options.on_connection(self.reporter());
        }
        let mut watch = self.till.watch_with(request.invoice_id, options);
        while let Some(invoice) = watch.try_next().await? {
            let state = WatchInvoiceResponse { invoice: Some(invoice) };
            say(&self.command, "event", write(&method, &state)?);
        }
        Ok(json!({}))
    }

    async fn events(self) -> Result<Value, Failure> {
        let method = self.method("WatchEvents")?;
        let request: WatchEventsRequest = read(&method, &self.command)?;
        let filter = request.filter.unwrap_or_default();
        let start = match request.start.ok_or("no start")? {
            Start::After(sequence) => EventStart::After(sequence),
            Start::Cursor(cursor) => EventStart::Cursor(cursor),
            Start::From(place) if place == LogPosition::Beginning as i32 => EventStart::Beginning,
            Start::From(_) => EventStart::Now,
        };
        let mut options = EventOptions::new(start)
            .types(filter.types)
            .all_users(request.all_users)
            .wait_for_ready(flag(&self.command, "wait_for_ready"));
        if let Some(metadata_type) = filter.metadata_type {
            options = options.metadata_type(metadata_type);
        }
        if let Some(timeout) = self.timeout() {
            options = options.timeout(timeout);
        }
        if flag(&self.command, "connection") {
            options = options.on_connection(self.reporter());
        }
        self.report(self.till.events(options), |event| {
            let response = WatchEventsResponse {
                events: vec![event],
                ..Default::default()
            };
            Ok(write(&method, &response)?["events"][0].take())
        })
        .await
    }

    fn method(&self, name: &str) -> Result<MethodDescriptor, Failure> {
        let services: Vec<_> = self.pool.services().collect();
        let method = services
            .iter()
            .find_map(|service| service.methods().find(|method| method.name() == name));
        Ok(method.ok_or_else(|| format!("no method {name}"))?)
    }

    fn request<T: Message + Default>(&self, method: &MethodDescriptor) -> Result<Request<T>, Failure> {
        let mut request = Request::new(read(method, &self.command)?);
        if let Some(timeout) = self.timeout() {
            request.set_timeout(timeout);
        }
        Ok(request)
    }

    fn timeout(&self) -> Option<Duration> {
        self.command["timeout_seconds"].as_f64().map(Duration::from_secs_f64)
    }

    fn reporter(&self) -> impl Fn(ConnectionChange) + use<> {
        let command = self.command.clone();
        move |change| say(&command, "connection", connection(change))
    }
}

fn read<T: Message + Default>(method: &MethodDescriptor, command: &Value) -> Result<T, Failure> {
    Ok(DynamicMessage::deserialize(method.input(), &command["request"])?.transcode_to()?)
}

fn write(method: &MethodDescriptor, message: &impl Message) -> Result<Value, Failure> {
    let mut dynamic = DynamicMessage::new(method.output());
    dynamic.transcode_from(message)?;
    Ok(serde_json::to_value(dynamic)?)
}

fn text<'a>(command: &'a Value, field: &str) -> Result<&'a str, Failure> {
    Ok(command[field].as_str().ok_or_else(|| format!("no {field}"))?)
}

fn flag(command: &Value, field: &str) -> bool {
    command[field] == Value::Bool(true)
}
