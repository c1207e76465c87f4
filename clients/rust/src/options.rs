//! What a client is made of.

use std::error::Error;
use std::fmt;

use tonic::transport::{self, Certificate, ClientTlsConfig};

/// Where Till is, and how to speak with it. In the clear and without a key, unless told otherwise.
#[derive(Clone)]
pub struct Options {
    pub(crate) address: String,
    pub(crate) key: Option<String>,
    pub(crate) tls: Option<ClientTlsConfig>,
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

    /// Send a key, or a watch token, with each call; without white space around it. Empty: there is none.
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

/// Options that no connection can be made with.
#[derive(Debug)]
#[non_exhaustive]
pub enum InvalidOptions {
    /// This is not `HOST:PORT`.
    Address(String),
    /// A key has printable ASCII only, without spaces.
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
            Self::Key => formatter.write_str("a key has printable ASCII only, without spaces"),
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
