//! A shop: the server creates an invoice for each order, and the payer's browser watches it. `cargo run --example shop`
//!
//! Environment: `TILL_ADDRESS`, Till's gRPC address; `TILL_KEY`, the shop's key; `TILL_URL`, Till's REST address as the
//! browser reaches it; `PORT`.

use std::env;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::prelude::{BASE64_STANDARD, Engine};
use qrcode::{QrCode, render::svg};
use serde_json::{Value, json};
use till_client::v1::{CreateInvoiceRequest, InvoiceStatus};
use till_client::{Client, Options, WatchOptions};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// The prices are the server's. The page sends the name of an item, and nothing else counts.
fn price_msat(item: &str) -> Option<u64> {
    match item {
        "coffee" => Some(5_000),
        "cake" => Some(12_000),
        _ => None,
    }
}

struct Shop {
    till: Client,
    till_url: String,
}

/// Take an order: create its invoice, and watch it.
async fn order(State(shop): State<Arc<Shop>>, body: String) -> Result<(StatusCode, Json<Value>), (StatusCode, String)> {
    let order: Value = serde_json::from_str(&body).unwrap_or_default();
    let item = order["item"].as_str().unwrap_or_default();
    let price_msat = price_msat(item).ok_or((StatusCode::NOT_FOUND, "we do not sell that".to_owned()))?;
    let order = uuid::Uuid::new_v4().simple().to_string();
    let request = CreateInvoiceRequest {
        amount_msat: Some(price_msat),
        description: Some(format!("a {item}")),
        metadata: json!({"type": "shop", "item": item}).to_string(),
        // A create with a label is safe to retry: it returns the same invoice.
        label: Some(order.clone()),
        with_watch_token: true,
        ..Default::default()
    };
    let created = shop.till.create_invoice(request).await.map_err(failed)?;
    let invoice = created.invoice.unwrap_or_default();
    tokio::spawn(deliver(shop.till.clone(), order.clone(), invoice.invoice_id.clone()));
    let answer = json!({
        "order": order,
        "amount_msat": price_msat.to_string(),
        "bolt11": invoice.bolt11,
        "qr": qr(&format!("lightning:{}", invoice.bolt11)).map_err(failed)?,
        "watch_url": format!(
            "{}/lightning/invoice/{}/watch?token={}",
            shop.till_url,
            invoice.invoice_id,
            created.watch_token.unwrap_or_default(),
        ),
    });
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Wait for the payment. The shop trusts its own watch, never what a browser says.
async fn deliver(till: Client, order: String, invoice_id: String) {
    let mut watch = till.watch_with(invoice_id, WatchOptions::new().wait_for_ready(true));
    while let Some(state) = watch.next().await {
        match state {
            Ok(invoice) if invoice.status() == InvoiceStatus::Paid => println!("Order {order} is paid."),
            Ok(_) => {}
            Err(error) => eprintln!("Order {order} cannot be watched: {error}"),
        }
    }
}

fn failed(error: impl Error) -> (StatusCode, String) {
    eprintln!("{error}");
    (
        StatusCode::BAD_GATEWAY,
        "no invoice could be created; try again".to_owned(),
    )
}

/// Return a QR code as the URL of an image. Capitals make it smaller.
fn qr(text: &str) -> Result<String, qrcode::types::QrError> {
    let image = QrCode::new(text.to_uppercase())?.render::<svg::Color>().build();
    Ok(format!("data:image/svg+xml;base64,{}", BASE64_STANDARD.encode(image)))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let variable = |name, default: &str| env::var(name).unwrap_or(default.to_owned());
    let options = Options::new(variable("TILL_ADDRESS", "127.0.0.1:50051")).key(variable("TILL_KEY", ""));
    let shop = Shop {
        till: Client::connect(options)?,
        till_url: variable("TILL_URL", "http://127.0.0.1:8080"),
    };
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../shop/index.html"))?;
    let routes = Router::new()
        .route("/", get(Html(page)))
        .route("/orders", post(order))
        .with_state(Arc::new(shop));
    let listener = TcpListener::bind(format!("127.0.0.1:{}", variable("PORT", "8000"))).await?;
    println!("The shop is open at http://{}", listener.local_addr()?);
    let mut end = signal(SignalKind::terminate())?;
    let serving = axum::serve(listener, routes).with_graceful_shutdown(async move {
        end.recv().await;
    });
    Ok(serving.await?)
}
