//! The client of Till, a cash register for Core Lightning: create an invoice, show its payment request, watch it live
//! until it is paid.
//!
//! [`Client::connect`] makes a [`Client`], which gives the generated stubs of [`v1`] ([`Client::invoices`] and others),
//! and [`Client::watch`], which outlives its connection. Errors are [`tonic::Status`]; [`Details::of`] one is what Till
//! says beyond it.
//!
//! ```no_run
#![doc = include_str!("../examples/first_invoice.rs")]
//! ```
#![warn(missing_docs)]

mod client;
mod connection;
mod details;
mod options;
mod watch;

pub use client::Client;
pub use connection::{Connection, Key};
pub use details::Details;
pub use options::{InvalidOptions, Options};
pub use watch::Watch;
pub use {prost_types, tonic};

/// Messages and stubs, as they are generated from `proto/till/v1`.
#[allow(missing_docs, clippy::all)]
pub mod v1 {
    tonic::include_proto!("till.v1");
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
