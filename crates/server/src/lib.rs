//! The control plane.
//!
//! ```text
//!   grpc/  ──►  service/  ──►  ledger  ──►  tenure_core::run (decides)
//!  decode,     one file a     batches:            │
//!  encode      use case      lock, decide,        ▼
//!                            save, commit,     tenure_store
//!                            wake
//! ```
//!
//! A request runs left to right and never back. Every change of a run has one shape: *find and
//! lock, decide, save, commit, wake*; the [`ledger`](crate::ledger) does it for many commands at
//! once. Wake-ups are hints: losing all of them costs latency, nothing else.
//!
//! Replicas are equal and know nothing of each other. There is no leader and no recovery at start:
//! the background ticks of every replica run for ever, and each of their writes is a compare-and-set.
#![warn(missing_docs)]

mod background;
mod cache;
pub mod carrier;
mod dispatch;
mod entropy;
mod grpc;
pub mod ledger;
mod page;
pub mod service;
mod streams;
mod wake;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub use entropy::{Entropy, SystemEntropy};
pub use service::{Service, Settings};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;

/// Serves gRPC on `listener` and runs the background ticks, until `shutdown`: then it answers held
/// polls, ends streams, lets requests finish, and returns.
pub async fn serve(
    service: Arc<Service>,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let background = tokio::spawn(background::run(service.clone(), shutdown.clone()));
    let routes = grpc::routes(&service, &shutdown).await;
    let served = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .max_concurrent_streams(1024)
        .add_routes(routes)
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            shutdown.clone().cancelled_owned(),
        )
        .await;
    shutdown.cancel();
    // The ticks end with the token; a panic in one was logged where it happened.
    let _ = background.await;
    served
}

/// Binds the listening socket; the error names the address.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let named = |error: std::io::Error| {
        std::io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
    };
    TcpListener::bind(address).await.map_err(named)
}
