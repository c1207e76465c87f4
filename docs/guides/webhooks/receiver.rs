//! Receives Till's webhooks, and ships each paid order once.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Router, routing::post};
use standardwebhooks::Webhook;

static SEEN: Mutex<BTreeSet<Vec<u8>>> = Mutex::new(BTreeSet::new()); // an application has a database

async fn receive(webhook: State<Arc<Webhook>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if webhook.verify(&body, &headers).is_err() {
        return StatusCode::BAD_REQUEST;
    }
    let event: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let id = headers["webhook-id"].as_bytes().to_vec();
    let is_new = SEEN.lock().unwrap().insert(id);
    if is_new && event["type"] == "invoice.paid" {
        let label = event["data"]["label"].as_str();
        println!("Ship {}", label.unwrap_or_default());
    }
    StatusCode::NO_CONTENT
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let webhook = Arc::new(Webhook::new(&std::env::var("TILL_WEBHOOK_SECRET")?)?);
    let port = std::env::var("PORT").unwrap_or("8000".into());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let address = listener.local_addr()?;
    println!("Waiting for events at http://{address}/till");
    let app = Router::new()
        .route("/till", post(receive))
        .with_state(webhook);
    Ok(axum::serve(listener, app).await?)
}
