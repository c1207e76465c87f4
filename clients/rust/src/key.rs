//! The key that a client sends with each call.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use tonic::Status;
use tonic::codegen::http::HeaderValue;

pub(crate) const MALFORMED: &str = "a key has printable ASCII only, without spaces";

type BoxError = Box<dyn Error + Send + Sync>;
type Supplier = dyn Fn() -> Pin<Box<dyn Future<Output = Result<String, BoxError>> + Send>> + Send + Sync;

/// A source of the header `authorization`.
#[derive(Clone)]
pub(crate) enum Key {
    None,
    Malformed,
    Fixed(HeaderValue),
    Supplied(Arc<Supplier>),
}

impl Key {
    pub(crate) fn fixed(key: &str) -> Self {
        if key.is_empty() {
            return Self::None;
        }
        let key = key.trim();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Self::Malformed;
        }
        HeaderValue::try_from(format!("Bearer {key}")).map_or(Self::Malformed, |mut value| {
            // Keeps the key out of `Debug`, and out of the compression table of HTTP/2.
            value.set_sensitive(true);
            Self::Fixed(value)
        })
    }

    pub(crate) fn supplied<F, T, E>(supplier: F) -> Self
    where
        F: Fn() -> T + Send + Sync + 'static,
        T: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        Self::Supplied(Arc::new(move || {
            let key = supplier();
            Box::pin(async move { key.await.map_err(Into::into) })
        }))
    }

    /// Return the header for one call.
    pub(crate) async fn header(&self) -> Result<Option<HeaderValue>, Status> {
        let key = match self {
            Self::Supplied(supplier) => match supplier().await {
                Ok(key) => &Self::fixed(&key),
                Err(error) => return Err(failed(error)),
            },
            key => key,
        };
        match key {
            Self::Fixed(value) => Ok(Some(value.clone())),
            Self::Malformed => Err(Status::unauthenticated(MALFORMED)),
            Self::None | Self::Supplied(_) => Ok(None),
        }
    }
}

fn failed(error: BoxError) -> Status {
    let mut status = Status::unauthenticated(format!("the key function failed: {error}"));
    status.set_source(error.into());
    status
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "None",
            Self::Malformed => "Malformed",
            Self::Fixed(_) => "Fixed(redacted)",
            Self::Supplied(_) => "Supplied",
        })
    }
}
