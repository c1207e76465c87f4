//! Calling Till.

use crate::connection::{Connection, connection};
use crate::options::{InvalidOptions, Options};
use crate::v1::invoice_service_client::InvoiceServiceClient;
use crate::v1::invreq_service_client::InvreqServiceClient;
use crate::v1::key_service_client::KeyServiceClient;
use crate::watch::{Watch, watch};

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
        Ok(Self {
            connection: connection(options)?,
        })
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
