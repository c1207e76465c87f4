//! Connecting to Till.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use tonic::codegen::http::uri::{Authority, Uri};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{self, Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status, TimeoutExpired};
use tower::util::MapErr;

use crate::v1::invoice_service_client::InvoiceServiceClient;
use crate::v1::invreq_service_client::InvreqServiceClient;
use crate::v1::key_service_client::KeyServiceClient;
use crate::watch::{Watch, watch};

/// Where Till is, and how to speak with it. In the clear and without a key, unless told otherwise.
#[derive(Clone)]
pub struct Options {
    address: String,
    key: Option<String>,
    tls: Option<ClientTlsConfig>,
}

impl Options {
    /// Till at an address: `HOST:PORT`.
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            key: None,
            tls: None,
        }
    }

    /// Send a key, or a watch token, with each call.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Speak TLS, and trust these authorities (PEM) and no others.
    pub fn ca(self, pem: impl AsRef<[u8]>) -> Self {
        self.tls(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)))
    }

    /// Speak TLS in any other way: trust those whom the system trusts (`with_native_roots`), or show a certificate
    /// (`identity`).
    pub fn tls(mut self, config: ClientTlsConfig) -> Self {
        self.tls = Some(config);
        self
    }
}

/// What calls go through. It connects, and connects again, when it is called.
pub type Connection = InterceptedService<MapErr<Channel, fn(transport::Error) -> Status>, Key>;

/// A connection to Till, which all clones share.
#[derive(Clone, Debug)]
pub struct Client {
    connection: Connection,
}

impl Client {
    /// Make a client. It connects with its first call, so this succeeds whether or not Till is there.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub fn connect(options: Options) -> Result<Self, InvalidOptions> {
        let scheme = if options.tls.is_some() { "https" } else { "http" };
        let mut endpoint = Endpoint::from(uri(scheme, &options.address)?)
            .connect_timeout(Duration::from_secs(10))
            // Without these a watch would wait for ever for a machine that vanished without a word.
            .http2_keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(10));
        if let Some(tls) = options.tls {
            endpoint = endpoint.tls_config(tls).map_err(InvalidOptions::Tls)?;
        }
        let channel = MapErr::new(endpoint.connect_lazy(), lost as fn(_) -> _);
        let connection = InterceptedService::new(channel, Key::new(options.key)?);
        Ok(Self { connection })
    }

    /// Creates invoices, and reads them.
    pub fn invoices(&self) -> InvoiceServiceClient<Connection> {
        InvoiceServiceClient::new(self.connection.clone())
    }

    /// Pays out by invoice requests (BOLT 12), and collects those of others.
    pub fn invreqs(&self) -> InvreqServiceClient<Connection> {
        InvreqServiceClient::new(self.connection.clone())
    }

    /// Makes keys, lists and revokes them.
    pub fn keys(&self) -> KeyServiceClient<Connection> {
        KeyServiceClient::new(self.connection.clone())
    }

    /// The states of an invoice: the current one at once, then each change, up to `PAID` or `EXPIRED`.
    ///
    /// Goes on by itself after a connection is lost, and gives no state twice in a row. Dropped, it ends at Till too.
    /// It fails, and ends, with what does not go away by waiting, such as `NOT_FOUND`. It has no deadline but what
    /// is set around it, such as `tokio::time::timeout`.
    pub fn watch(&self, invoice_id: impl Into<String>) -> Watch {
        watch(self.invoices(), invoice_id.into())
    }
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
        let Some(key) = key else {
            return Ok(Self(None));
        };
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

/// Options that no connection can be made with.
#[derive(Debug)]
#[non_exhaustive]
pub enum InvalidOptions {
    /// This is not `HOST:PORT`.
    Address(String),
    /// The key has characters that no key has.
    Key,
    /// The certificates cannot be used.
    Tls(transport::Error),
}

impl fmt::Display for InvalidOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => {
                write!(
                    formatter,
                    "the address must be HOST:PORT, such as 127.0.0.1:50051, and is {address:?}"
                )
            }
            Self::Key => formatter.write_str("the key has characters that no key has"),
            Self::Tls(_) => formatter.write_str("the certificates cannot be used: they must be PEM"),
        }
    }
}

impl Error for InvalidOptions {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Tls(error) => Some(error),
            _ => None,
        }
    }
}
