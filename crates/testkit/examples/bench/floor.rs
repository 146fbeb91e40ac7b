//! The bare reference: a gRPC server with group commit over two tables, and its worker. There are no
//! rules, no tenants, no queue and no leases that end: it is no product, it says what the same path
//! costs at least on the machine that it runs on.

mod batches;
mod server;
mod worker;

pub(crate) use server::serve;
pub(crate) use worker::work;

/// What it speaks.
#[expect(clippy::pedantic, clippy::allow_attributes, unreachable_pub, reason = "generated")]
pub(crate) mod wire {
    tonic::include_proto!("floor");
}

use tonic::transport::{Channel, Endpoint};
use wire::floor_client::FloorClient;

/// A client, on a connection of its own, that is set up as the product's.
pub(crate) async fn connect(url: &str) -> anyhow::Result<FloorClient<Channel>> {
    let endpoint = Endpoint::from_shared(url.to_owned())?.tcp_nodelay(true);
    Ok(FloorClient::new(endpoint.connect().await?))
}
