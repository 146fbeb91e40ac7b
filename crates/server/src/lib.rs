//! The control plane.
//!
//! ```text
//!   grpc/  ──►  service/  ──►  ledger  ──►  tenure_core::run (decides)
//!   http/      one file a     batches:            │
//!  decode,     use case      lock, decide,        ▼
//!  encode                    save, commit,     tenure_store
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
mod http;
pub mod ledger;
mod log;
mod page;
pub mod service;
mod streams;
pub mod transcode;
mod wake;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub use entropy::{Entropy, SystemEntropy};
pub use service::{Service, Settings};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic_web::GrpcWebLayer;

/// Serves gRPC, gRPC-web and HTTP on `listener` and runs the background ticks, until `shutdown`: then it answers held
/// polls, ends streams, lets requests finish, and returns.
pub async fn serve(
    service: Arc<Service>,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let background = tokio::spawn(background::run(service.clone(), shutdown.clone()));
    let grpc = grpc::routes(&service, &shutdown).await;
    let http = http::routes(&service, &shutdown, grpc.clone());
    let routes = grpc.layer(GrpcWebLayer::new()).merge(http);
    let routes = match http::cors::layer(service.cors_origins()) {
        Some(cors) => routes.layer(cors),
        None => routes,
    };
    // This server and no plain HTTP one: it keeps `grpc-timeout`, and ends connections that died.
    let served = tonic::transport::Server::builder()
        .accept_http1(true)
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .max_concurrent_streams(1024)
        .add_routes(Routes::from(routes).prepare())
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
