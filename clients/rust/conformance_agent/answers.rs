//! The answers of the agent, as JSON.

use serde_json::{Value, json};
use till_client::tonic::{Code, Status};
use till_client::{ConnectionChange, Error as TillError};

use crate::Failure;

pub(crate) fn answer(command: &Value, done: Result<Value, Failure>) {
    match done {
        Ok(value) => say(command, "ok", value),
        Err(failure) => say(command, "error", failure_json(&failure)),
    }
}

/// A change as the agent reports it.
pub(crate) fn connection(change: ConnectionChange) -> Value {
    match change {
        ConnectionChange::Lost { attempt, error, .. } => {
            json!({"lost": true, "attempt": attempt, "error": error_json(&error)})
        }
        ConnectionChange::Restored { attempt, .. } => json!({"lost": false, "attempt": attempt, "error": null}),
        _ => json!("unknown"),
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
        "oldest_sequence": error.oldest_sequence().map(|sequence| sequence.to_string()),
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

pub(crate) fn say(command: &Value, what: &str, value: Value) {
    println!("{}", json!({"id": command["id"], what: value}));
}
