//! Options of a client.

use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use tonic::codegen::http::uri::{Authority, Uri};
use tonic::transport::{self, Channel, Endpoint};
#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
use tonic::transport::{Certificate, ClientTlsConfig};

use crate::connection::Connection;
use crate::connector::{Connector, LastFailure};
use crate::key::{self, Key};

#[cfg(not(any(feature = "tls-ring", feature = "tls-aws-lc")))]
type ClientTlsConfig = std::convert::Infallible;

/// The address of Till, and how to call it. Without more options there is no TLS, and no key.
#[derive(Clone)]
#[must_use]
pub struct Options {
    target: Target,
    key: Key,
    allow_plaintext_key: bool,
    tls: Option<ClientTlsConfig>,
}

#[derive(Clone, Debug)]
enum Target {
    Address(String),
    Endpoint(Box<Endpoint>),
    Channel(Channel),
}

impl Options {
    /// The address of Till: `HOST:PORT`.
    pub fn new(address: impl Into<String>) -> Self {
        Self::of(Target::Address(address.into()))
    }

    fn of(target: Target) -> Self {
        Self {
            target,
            key: Key::None,
            allow_plaintext_key: false,
            tls: None,
        }
    }

    /// Send a key, or a watch token, with each call. White space around it is stripped; an empty text is no key.
    pub fn key(mut self, key: impl AsRef<str>) -> Self {
        self.key = Key::fixed(key.as_ref());
        self
    }

    /// Ask a function for the key before each call, and before each attempt of a watch or an event stream, so that a key can
    /// rotate.
    ///
    /// An error of the function fails the call or the watch with UNAUTHENTICATED, and is its
    /// [`source`](std::error::Error::source). So does a malformed key.
    ///
    /// ```
    /// # use till_client::Options;
    /// let options = Options::new("127.0.0.1:50051").key_fn(|| async { std::fs::read_to_string("/run/secrets/till") });
    /// ```
    pub fn key_fn<F, T, E>(mut self, key: F) -> Self
    where
        F: Fn() -> T + Send + Sync + 'static,
        T: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.key = Key::supplied(key);
        self
    }

    /// Send the key without TLS to other hosts than loopback too, as in a network that encrypts by itself.
    pub fn allow_plaintext_key(mut self, allow: bool) -> Self {
        self.allow_plaintext_key = allow;
        self
    }

    /// Speak TLS, and trust the authorities of the system (feature `tls-native-roots`) or of Mozilla
    /// (`tls-webpki-roots`).
    #[cfg(all(
        any(feature = "tls-ring", feature = "tls-aws-lc"),
        any(feature = "tls-native-roots", feature = "tls-webpki-roots")
    ))]
    pub fn tls(self) -> Self {
        self.tls_config(ClientTlsConfig::new().with_enabled_roots())
    }

    /// Speak TLS, and trust only these authorities (PEM).
    #[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
    pub fn ca(self, pem: impl AsRef<[u8]>) -> Self {
        self.tls_config(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)))
    }

    /// Speak TLS as configured, such as with a client certificate (`identity`).
    #[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
    pub fn tls_config(mut self, config: ClientTlsConfig) -> Self {
        self.tls = Some(config);
        self
    }

    pub(crate) fn connection(self) -> Result<Connection, InvalidOptions> {
        if matches!(self.key, Key::Malformed) {
            return Err(InvalidOptions::Key);
        }
        let address = match self.target {
            Target::Address(address) => address,
            _ if self.tls.is_some() => return Err(InvalidOptions::TlsOfChannel),
            Target::Endpoint(endpoint) => {
                let open = move || endpoint.connect_lazy();
                return Ok(Connection::new(open, self.key, LastFailure::default()));
            }
            Target::Channel(channel) => {
                let open = move || channel.clone();
                return Ok(Connection::new(open, self.key, LastFailure::default()));
            }
        };
        let uri = uri(&address, self.tls.is_some()).ok_or(InvalidOptions::Address(address))?;
        let is_protected = self.tls.is_some() || self.allow_plaintext_key || uri.host().is_some_and(is_loopback);
        if !is_protected && !matches!(self.key, Key::None) {
            return Err(InvalidOptions::PlaintextKey);
        }
        let endpoint = Endpoint::from(uri)
            // Without pings a watch would not notice that its network has fallen silent.
            .http2_keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(10));
        let endpoint = with_tls(endpoint, self.tls).map_err(InvalidOptions::Tls)?;
        let last_failure = LastFailure::default();
        let connector = Connector::new(last_failure.clone());
        let open = move || endpoint.connect_with_connector_lazy(connector.clone());
        Ok(Connection::new(open, self.key, last_failure))
    }
}

/// As [`Options::new`].
impl From<&str> for Options {
    fn from(address: &str) -> Self {
        Self::new(address)
    }
}

/// As [`Options::new`].
impl From<String> for Options {
    fn from(address: String) -> Self {
        Self::new(address)
    }
}

/// Connect as this endpoint says, with its time limits, keepalive, TLS or Unix socket.
///
/// The key is sent whether or not there is TLS. Defaults to copy: [`Endpoint::http2_keep_alive_interval`] of 30 s,
/// [`Endpoint::keep_alive_timeout`] of 10 s, [`Endpoint::connect_timeout`] of 5 s.
impl From<Endpoint> for Options {
    fn from(endpoint: Endpoint) -> Self {
        Self::of(Target::Endpoint(Box::new(endpoint)))
    }
}

/// Call through this channel. The key is sent whether or not there is TLS.
impl From<Channel> for Options {
    fn from(channel: Channel) -> Self {
        Self::of(Target::Channel(channel))
    }
}

/// Shows neither the key nor the certificates.
impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Options")
            .field("target", &self.target)
            .field("key", &self.key)
            .field("allow_plaintext_key", &self.allow_plaintext_key)
            .field("tls", &self.tls.is_some())
            .finish()
    }
}

fn with_tls(endpoint: Endpoint, tls: Option<ClientTlsConfig>) -> Result<Endpoint, transport::Error> {
    match tls {
        #[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
        Some(config) => endpoint.tls_config(config),
        _ => Ok(endpoint),
    }
}

fn uri(address: &str, tls: bool) -> Option<Uri> {
    let authority: Authority = address.parse().ok()?;
    if authority.host().is_empty() || authority.port_u16().is_none() {
        return None;
    }
    let uri = Uri::builder().scheme(if tls { "https" } else { "http" });
    uri.authority(authority).path_and_query("/").build().ok()
}

fn is_loopback(host: &str) -> bool {
    let address: Result<IpAddr, _> = host.trim_matches(['[', ']']).parse();
    address.map_or(host.eq_ignore_ascii_case("localhost"), |address| address.is_loopback())
}

/// Options with which no client can be made.
#[derive(Debug)]
#[non_exhaustive]
pub enum InvalidOptions {
    /// The address is not `HOST:PORT`.
    Address(String),
    /// The key has characters other than printable ASCII.
    Key,
    /// The key would be sent without TLS to another host than loopback.
    PlaintextKey,
    /// The certificates are malformed, or the system has none.
    Tls(transport::Error),
    /// TLS options do not apply to an endpoint or channel of the caller's own.
    TlsOfChannel,
}

impl fmt::Display for InvalidOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(
                formatter,
                "the address {address:?} is malformed; it must be HOST:PORT, such as 127.0.0.1:50051"
            ),
            Self::Key => formatter.write_str(key::MALFORMED),
            Self::PlaintextKey => {
                formatter.write_str("a key is sent without TLS to loopback only; use TLS, or pass allow_plaintext_key")
            }
            Self::Tls(_) => formatter.write_str("the certificates cannot be used; they must be PEM"),
            Self::TlsOfChannel => {
                formatter.write_str("the TLS options do not apply to your own endpoint or channel; configure TLS in it")
            }
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
