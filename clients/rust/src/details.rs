//! What an error says beyond its status.

use std::time::Duration;

use tonic::Status;
use tonic_types::StatusExt;

/// What Till says of an error, beyond its status and message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Details {
    /// The documented code, such as `E2`.
    pub code: String,
    /// Its name, such as `NOT_FOUND`.
    pub reason: String,
    /// When to try again, where Till knows.
    pub retry_after: Option<Duration>,
}

impl Details {
    /// The details of an error. None: it does not come from Till, but from what is between.
    pub fn of(status: &Status) -> Option<Self> {
        let info = status.get_details_error_info()?;
        if info.domain != "till" {
            return None;
        }
        let retry = status.get_details_retry_info();
        Some(Self {
            code: info.metadata.get("code")?.clone(),
            reason: info.reason,
            retry_after: retry.and_then(|retry| retry.retry_delay),
        })
    }
}
