//! What calls go through.

use std::error::Error;
use std::time::Duration;

use tonic::codegen::http::uri::{Authority, Uri};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{self, Channel, Endpoint};
use tonic::{Request, Status, TimeoutExpired};
use tower::util::MapErr;

use crate::options::{InvalidOptions, Options};

/// What calls go through. It connects, and connects again, when it is called.
pub type Connection = InterceptedService<MapErr<Channel, fn(transport::Error) -> Status>, Key>;

pub(crate) fn connection(options: Options) -> Result<Connection, InvalidOptions> {
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    let mut endpoint = Endpoint::from(uri(scheme, &options.address)?)
        .connect_timeout(Duration::from_secs(5))
        // Without these a watch would wait for ever for a machine that vanished without a word.
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10));
    if let Some(tls) = options.tls {
        endpoint = endpoint.tls_config(tls).map_err(InvalidOptions::Tls)?;
    }
    let channel = MapErr::new(endpoint.connect_lazy(), lost as fn(_) -> _);
    Ok(InterceptedService::new(channel, Key::new(options.key)?))
}

fn uri(scheme: &str, address: &str) -> Result<Uri, InvalidOptions> {
    let invalid = || InvalidOptions::Address(address.to_owned());
    let authority: Authority = address.parse().map_err(|_| invalid())?;
    if authority.host().is_empty() || authority.port_u16().is_none() {
        return Err(invalid());
    }
    let uri = Uri::builder().scheme(scheme).authority(authority);
    uri.path_and_query("/").build().map_err(|_| invalid())
}

/// No answer came, and why. tonic itself would say CANCELLED of a deadline, and UNKNOWN or CANCELLED of most losses.
fn lost(error: transport::Error) -> Status {
    let mut cause: &dyn Error = &error;
    while let Some(deeper) = cause.source() {
        if deeper.is::<TimeoutExpired>() {
            return Status::deadline_exceeded("it took too long");
        }
        cause = deeper;
    }
    Status::unavailable(cause.to_string())
}

/// Sends a key with each call: the interceptor of all connections.
#[derive(Clone, Debug)]
pub struct Key(Option<MetadataValue<Ascii>>);

impl Key {
    fn new(key: Option<String>) -> Result<Self, InvalidOptions> {
        let Some(key) = key.filter(|key| !key.is_empty()) else {
            return Ok(Self(None));
        };
        let key = key.trim();
        if key.is_empty() || !key.bytes().all(|each| each.is_ascii_graphic()) {
            return Err(InvalidOptions::Key);
        }
        let mut value = MetadataValue::try_from(format!("Bearer {key}")).map_err(|_| InvalidOptions::Key)?;
        // So it is kept out of logs, and out of the memory of HTTP/2's compression.
        value.set_sensitive(true);
        Ok(Self(Some(value)))
    }
}

impl Interceptor for Key {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(key) = &self.0 {
            request.metadata_mut().insert("authorization", key.clone());
        }
        Ok(request)
    }
}
