#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod client;
mod details;
mod watch;

pub use client::{Client, Connection, InvalidOptions, Key, Options};
pub use details::Details;
pub use watch::Watch;
pub use {prost_types, tonic};

/// Messages and stubs, as they are generated from `proto/till/v1`.
#[allow(missing_docs, clippy::all)]
pub mod v1 {
    tonic::include_proto!("till.v1");
}
