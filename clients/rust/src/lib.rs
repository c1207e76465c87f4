//! Client of Till, a cash register for Core Lightning: create an invoice, show its payment request, watch it live until
//! it is paid.
//!
//! [`Client::connect`] creates a [`Client`], which has the calls for invoices, events and webhooks, and the generated
//! stubs of [`v1`] for all else. [`Client::watch`] returns a [`Watch`], which reconnects when its connection is lost; so
//! do the [`Events`] of [`Client::events`], the log of all changes, which [`Client::create_webhook`] sends to a URL.
//! [`Client::list`] fetches page after page, [`Client::export`] streams CSV. All of them fail with an [`Error`], which
//! has Till's documented [`ErrorCode`].
//!
//! ```no_run
#![doc = include_str!("../examples/first_invoice.rs")]
//! ```
//!
//! # Features
//!
//! | feature | default | |
//! | --- | --- | --- |
//! | `tls-ring` | yes | TLS, by rustls with ring |
//! | `tls-aws-lc` | | TLS, by rustls with aws-lc |
//! | `tls-native-roots` | yes | [`Options::tls`] trusts the authorities of the system |
//! | `tls-webpki-roots` | | [`Options::tls`] trusts the authorities of Mozilla |
#![cfg_attr(docsrs, feature(doc_cfg))]

mod client;
mod connection;
mod connector;
mod error;
mod events;
mod items;
mod key;
mod list;
mod options;
mod pause;
mod reconnect;
mod watch;
mod webhooks;

pub use client::Client;
pub use connection::Connection;
pub use error::{Error, ErrorCode, InvalidErrorCode};
pub use events::{EventOptions, EventStart, Events};
pub use items::Items;
pub use options::{InvalidOptions, Options};
pub use reconnect::{ConnectionChange, WatchOptions};
pub use watch::Watch;
pub use {prost_types, tonic};

/// Messages and stubs, as they are generated from `proto/till/v1`.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod v1 {
    tonic::include_proto!("till.v1");
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
