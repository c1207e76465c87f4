//! The agent of the Rust client: see clients/conformance/README.md.

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;
use std::time::Duration;

use prost_reflect::prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use serde_json::{Value, json};
use till_client::tonic::{Code, Request, Status};
use till_client::v1::{WatchInvoiceRequest, WatchInvoiceResponse};
use till_client::{Client, Details, Options};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_stream::StreamExt;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let protos = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let files = protox::compile(["till/v1/invoice_service.proto"], [protos])?;
    let pool = DescriptorPool::from_file_descriptor_set(files)?;
    let mut till = None;
    let mut running = JoinSet::new();
    // Dropping one cancels what goes on under this id.
    let mut cancels = HashMap::new();
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let told: Value = serde_json::from_str(&line)?;
        match told["op"].as_str() {
            Some("connect") => {
                let connected = connect(&told).map(|client| till = Some(client));
                answer(&told, connected.map(|()| json!({})));
            }
            Some("cancel") => {
                cancels.remove(&told["call"].to_string());
                answer(&told, Ok(json!({})));
            }
            _ => {
                let (cancel, cancelled) = oneshot::channel::<()>();
                cancels.insert(told["id"].to_string(), cancel);
                let (till, pool) = (till.clone(), pool.clone());
                running.spawn(async move {
                    let done = tokio::select! {
                        done = operate(till, &pool, &told) => done,
                        _ = cancelled => Err(Status::cancelled("").into()),
                    };
                    answer(&told, done);
                });
            }
        }
    }
    drop(cancels);
    running.join_all().await;
    Ok(())
}

fn connect(told: &Value) -> Result<Client, Failure> {
    let mut options = Options::new(text(told, "address")?);
    if let Ok(key) = text(told, "key") {
        options = options.key(key);
    }
    if let Ok(file) = text(told, "ca_file") {
        options = options.ca(std::fs::read(file)?);
    }
    Ok(Client::connect(options)?)
}

async fn operate(till: Option<Client>, pool: &DescriptorPool, told: &Value) -> Result<Value, Failure> {
    let till = till.ok_or("connect first")?;
    let timeout = told["timeout_seconds"].as_f64().map(Duration::from_secs_f64);
    if text(told, "op")? == "call" {
        return call(till, &method(pool, text(told, "method")?)?, told, timeout).await;
    }
    let method = method(pool, "WatchInvoice")?;
    let watching = watch(till, &method, told);
    match timeout {
        Some(timeout) => tokio::time::timeout(timeout, watching)
            .await
            .map_err(|_| Status::deadline_exceeded(""))?,
        None => watching.await,
    }
}

async fn call(
    till: Client,
    method: &MethodDescriptor,
    told: &Value,
    timeout: Option<Duration>,
) -> Result<Value, Failure> {
    let mut till = till.invoices();
    macro_rules! call {
        ($name:ident) => {{
            let mut request = Request::new(read(method, told)?);
            if let Some(timeout) = timeout {
                request.set_timeout(timeout);
            }
            write(method, till.$name(request).await?.get_ref())
        }};
    }
    match method.name() {
        "CreateInvoice" => call!(create_invoice),
        "GetInvoice" => call!(get_invoice),
        "GetInvoiceById" => call!(get_invoice_by_id),
        "LookupInvoice" => call!(lookup_invoice),
        "GetInfo" => call!(get_info),
        other => Err(format!("no such call: {other}").into()),
    }
}

async fn watch(till: Client, method: &MethodDescriptor, told: &Value) -> Result<Value, Failure> {
    let request: WatchInvoiceRequest = read(method, told)?;
    let mut states = till.watch(request.invoice_id);
    while let Some(invoice) = states.try_next().await? {
        let state = WatchInvoiceResponse { invoice: Some(invoice) };
        say(told, "event", write(method, &state)?);
    }
    Ok(json!({}))
}

fn method(pool: &DescriptorPool, name: &str) -> Result<MethodDescriptor, Failure> {
    let service = pool.get_service_by_name("till.v1.InvoiceService").ok_or("no service")?;
    let method = service.methods().find(|method| method.name() == name);
    Ok(method.ok_or_else(|| format!("no method {name}"))?)
}

fn read<T: Message + Default>(method: &MethodDescriptor, told: &Value) -> Result<T, Failure> {
    Ok(DynamicMessage::deserialize(method.input(), &told["request"])?.transcode_to()?)
}

fn write(method: &MethodDescriptor, message: &impl Message) -> Result<Value, Failure> {
    let mut dynamic = DynamicMessage::new(method.output());
    dynamic.transcode_from(message)?;
    Ok(serde_json::to_value(dynamic)?)
}

fn text<'a>(told: &'a Value, field: &str) -> Result<&'a str, Failure> {
    Ok(told[field].as_str().ok_or_else(|| format!("no {field}"))?)
}

fn answer(told: &Value, done: Result<Value, Failure>) {
    match done {
        Ok(value) => say(told, "ok", value),
        Err(failure) => say(told, "error", plain(&failure)),
    }
}

/// A failure as an agent tells it.
fn plain(failure: &Failure) -> Value {
    let Some(status) = failure.downcast_ref::<Status>() else {
        return json!({"status": "UNKNOWN", "message": failure.to_string()});
    };
    let details = Details::of(status);
    json!({
        "status": name(status.code()),
        "message": status.message(),
        "code": details.as_ref().map(|details| &details.code),
        "reason": details.as_ref().map(|details| &details.reason),
        "retry_seconds": details.and_then(|details| details.retry_after).map(|pause| pause.as_secs_f64()),
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

fn say(told: &Value, what: &str, value: Value) {
    println!("{}", json!({"id": told["id"], what: value}));
}
