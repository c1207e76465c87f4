//! The agent of the Rust client: see clients/conformance/README.md.

use std::collections::HashMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use prost_reflect::prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use serde_json::{Value, json};
use till_client::tonic::{Code, Request, Status};
use till_client::v1::{WatchInvoiceRequest, WatchInvoiceResponse};
use till_client::{Client, ConnectionChange, Error as TillError, Options, WatchOptions};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let protos = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let files = protox::compile(["till/v1/invoice_service.proto"], [protos])?;
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
                let (till, pool) = (till.clone(), pool.clone());
                running.spawn(async move {
                    let done = tokio::select! {
                        done = operate(till, &pool, &command) => done,
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

async fn operate(till: Option<Client>, pool: &DescriptorPool, command: &Value) -> Result<Value, Failure> {
    let till = till.ok_or("connect first")?;
    let timeout = command["timeout_seconds"].as_f64().map(Duration::from_secs_f64);
    match text(command, "op")? {
        "call" => call(till, &method(pool, text(command, "method")?)?, command, timeout).await,
        "list" => list(till, pool, command, timeout).await,
        "export" => export(till, &method(pool, "ExportInvoices")?, command, timeout).await,
        _ => watch(till, &method(pool, "WatchInvoice")?, command, timeout).await,
    }
}

async fn call(
    till: Client,
    method: &MethodDescriptor,
    command: &Value,
    timeout: Option<Duration>,
) -> Result<Value, Failure> {
    macro_rules! call {
        ($name:ident) => {
            write(method, &till.$name(request(method, command, timeout)?).await?)
        };
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
        other => Err(format!("no such call: {other}").into()),
    }
}

async fn list(
    till: Client,
    pool: &DescriptorPool,
    command: &Value,
    timeout: Option<Duration>,
) -> Result<Value, Failure> {
    let event = method(pool, "WatchInvoice")?;
    let mut list = till.list(request(&method(pool, "ListInvoices")?, command, timeout)?);
    let mut left = command["limit"].as_u64().unwrap_or(u64::MAX);
    while left > 0
        && let Some(invoice) = list.try_next().await?
    {
        let state = WatchInvoiceResponse { invoice: Some(invoice) };
        say(command, "event", write(&event, &state)?);
        left -= 1;
    }
    Ok(json!({}))
}

async fn export(
    till: Client,
    method: &MethodDescriptor,
    command: &Value,
    timeout: Option<Duration>,
) -> Result<Value, Failure> {
    let mut export = till.export(request(method, command, timeout)?);
    while let Some(part) = export.try_next().await? {
        say(command, "event", write(method, &part)?);
    }
    Ok(json!({}))
}

async fn watch(
    till: Client,
    method: &MethodDescriptor,
    command: &Value,
    timeout: Option<Duration>,
) -> Result<Value, Failure> {
    let request: WatchInvoiceRequest = read(method, command)?;
    let mut options = WatchOptions::new().wait_for_ready(flag(command, "wait_for_ready"));
    if let Some(timeout) = timeout {
        options = options.timeout(timeout);
    }
    if flag(command, "connection") {
        let command = command.clone();
        options = options.on_connection(move |change| say(&command, "connection", connection(change)));
    }
    let mut watch = till.watch_with(request.invoice_id, options);
    while let Some(invoice) = watch.try_next().await? {
        let state = WatchInvoiceResponse { invoice: Some(invoice) };
        say(command, "event", write(method, &state)?);
    }
    Ok(json!({}))
}

/// A change as the agent reports it.
fn connection(change: ConnectionChange) -> Value {
    match change {
        ConnectionChange::Lost { attempt, error, .. } => {
            json!({"lost": true, "attempt": attempt, "error": error_json(&error)})
        }
        ConnectionChange::Restored { attempt, .. } => json!({"lost": false, "attempt": attempt, "error": null}),
        _ => json!("unknown"),
    }
}

fn method(pool: &DescriptorPool, name: &str) -> Result<MethodDescriptor, Failure> {
    let service = pool.get_service_by_name("till.v1.InvoiceService").ok_or("no service")?;
    let method = service.methods().find(|method| method.name() == name);
    Ok(method.ok_or_else(|| format!("no method {name}"))?)
}

fn request<T: Message + Default>(
    method: &MethodDescriptor,
    command: &Value,
    timeout: Option<Duration>,
) -> Result<Request<T>, Failure> {
    let mut request = Request::new(read(method, command)?);
    if let Some(timeout) = timeout {
        request.set_timeout(timeout);
    }
    Ok(request)
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

fn answer(command: &Value, done: Result<Value, Failure>) {
    match done {
        Ok(value) => say(command, "ok", value),
        Err(failure) => say(command, "error", failure_json(&failure)),
    }
}

/// A failure as the agent reports it.
fn failure_json(failure: &Failure) -> Value {
    if let Some(error) = failure.downcast_ref::<TillError>() {
        return error_json(error);
    }
    match failure.downcast_ref::<Status>() {
        Some(status) => error_json(&status.clone().into()),
        None => json!({"status": "UNKNOWN", "message": failure.to_string()}),
    }
}

fn error_json(error: &TillError) -> Value {
    json!({
        "status": name(error.status().code()),
        "message": error.message(),
        "code": error.code().map(|code| code.to_string()),
        "reason": error.reason(),
        "retry_seconds": error.retry_after().map(|pause| pause.as_secs_f64()),
    })
}

/// gRPC's name of a code: `NOT_FOUND` of `NotFound`.
fn name(code: Code) -> String {
    let mut name = String::new();
    for (at, letter) in format!("{code:?}").char_indices() {
        if at > 0 && letter.is_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

fn say(command: &Value, what: &str, value: Value) {
    println!("{}", json!({"id": command["id"], what: value}));
}
