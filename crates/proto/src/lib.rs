//! The wire: generated code of `/proto`, the only conversions between it and
//! [`tenure_core`], and the one table of errors ([`status`]).

pub mod convert;
pub mod status;

/// The messages, clients and servers of `tenure.v1`, with their canonical JSON.
#[expect(clippy::all, clippy::pedantic, clippy::allow_attributes, reason = "generated code")]
pub mod v1 {
    tonic::include_proto!("tenure.v1");
    include!(concat!(env!("OUT_DIR"), "/tenure.v1.serde.rs"));
}

/// The encoded descriptors of every service, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
