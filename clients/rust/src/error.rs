//! Errors of calls and streams.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The error of a call or a watch.
///
/// [`code`](Self::code) is Till's documented code. It is None if Till did not answer: mostly because there was no
/// connection, because the connection was lost, or because the deadline passed. [`status`](Self::status) has the
/// status of gRPC.
///
/// The generated stubs return [`tonic::Status`]; `?` and [`Error::from`] turn one into an `Error`.
#[derive(Clone, Debug)]
pub struct Error {
    status: Status,
    details: Option<Details>,
}

/// The content of google.rpc.ErrorInfo and google.rpc.RetryInfo.
#[derive(Clone, Debug)]
struct Details {
    code: ErrorCode,
    reason: String,
    retry_after: Option<Duration>,
    oldest_sequence: Option<u64>,
}

impl Error {
    /// Till's documented code.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        self.details.as_ref().map(|details| details.code)
    }

    /// The name of the code, such as `NOT_FOUND`.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.details.as_ref().map(|details| details.reason.as_str())
    }

    /// A sentence for people. Branch on [`code`](Self::code) instead.
    #[must_use]
    pub fn message(&self) -> &str {
        self.status.message()
    }

    /// The time after which to try again, if Till sent one.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.details.as_ref()?.retry_after
    }

    /// The sequence of the oldest event left, with [`EventsGone`](ErrorCode::EventsGone). None with `all_users`.
    #[must_use]
    pub fn oldest_sequence(&self) -> Option<u64> {
        self.details.as_ref()?.oldest_sequence
    }

    /// The status of gRPC.
    #[must_use]
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// Return whether a watch reconnects after this error.
    ///
    /// A stream that is reset behind a proxy shows as INTERNAL, UNKNOWN or CANCELLED without a code.
    pub(crate) fn is_loss(&self) -> bool {
        match self.status.code() {
            Code::Unavailable => true,
            Code::Internal | Code::Unknown | Code::Cancelled => self.details.is_none(),
            _ => false,
        }
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let details = details(&status);
        Self { status, details }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        error.status
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code() {
            Some(code) => write!(formatter, "{code}: {}", self.message()),
            None => formatter.write_str(self.message()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.status.source()
    }
}

fn details(status: &Status) -> Option<Details> {
    let info = status.get_details_error_info()?;
    if info.domain != "till" {
        return None;
    }
    Some(Details {
        code: info.metadata.get("code")?.parse().ok()?,
        oldest_sequence: info.metadata.get("oldest_sequence").and_then(|text| text.parse().ok()),
        reason: info.reason,
        retry_after: status.get_details_retry_info().and_then(|info| info.retry_delay),
    })
}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// Till's documented codes. They print as `E2`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$doc])* $name,)*
            /// A code that is newer than this client, by its number.
            Other(u16),
        }

        impl ErrorCode {
            fn number(self) -> u16 {
                match self {
                    $(Self::$name => $number,)*
                    Self::Other(number) => number,
                }
            }
        }

        impl From<u16> for ErrorCode {
            fn from(number: u16) -> Self {
                match number {
                    $($number => Self::$name,)*
                    number => Self::Other(number),
                }
            }
        }
    };
}

error_codes! {
    /// E0: internal error of Till or its node; Till's log has the details.
    Internal = 0,
    /// E1: invalid request; the message names the field and the limit.
    InvalidRequest = 1,
    /// E2: not found, or not visible to the key.
    NotFound = 2,
    /// E3: the key is missing, unknown, expired or revoked.
    Unauthenticated = 3,
    /// E4: the key lacks the scope, or is for another type.
    PermissionDenied = 4,
    /// E5: the label is in use for a different request, or the invoice cannot be canceled any more; the message says why.
    Conflict = 5,
    /// E6: the request or a field exceeds a limit in bytes.
    TooLarge = 6,
    /// E7: limit of the key exceeded; [`Error::retry_after`] has the time to wait.
    TooMany = 7,
    /// E8: the node is offline, or Till cannot serve; retry.
    Unavailable = 8,
    /// E9: timed out at Till; retry.
    TookTooLong = 9,
    /// E10: this Till has no such method.
    NoSuchMethod = 10,
    /// E11: the invoice request is not active: disabled, collected or expired.
    NotActive = 11,
    /// E12: the invoice request has expired.
    Expired = 12,
    /// E13: no route to the node that made the invoice request; retry later.
    Unreachable = 13,
    /// E14: that node refuses to pay; the message has its reason.
    Refused = 14,
    /// E15: that node did not pay in time, and no longer can; try again.
    NotPaid = 15,
    /// E16: events after the start were removed; [`Error::oldest_sequence`] has the oldest one that is left.
    EventsGone = 16,
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "E{}", self.number())
    }
}

impl FromStr for ErrorCode {
    type Err = InvalidErrorCode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number: Option<u16> = text.strip_prefix('E').and_then(|digits| digits.parse().ok());
        number.map(Self::from).ok_or(InvalidErrorCode(()))
    }
}

/// The text is not an `E` with a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidErrorCode(());

impl fmt::Display for InvalidErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an error code is E and a number, such as E2")
    }
}

impl std::error::Error for InvalidErrorCode {}
