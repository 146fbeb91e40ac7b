//! gRPC: decode, call, encode. No handler decides anything.

mod agents;
mod inbox;
mod runs;
mod steering;
mod tenants;
mod workers;

use std::sync::Arc;

use axum::Router;
use tenure_core::{Error, Name, limits};
use tenure_proto::v1::agent_service_server::AgentServiceServer;
use tenure_proto::v1::inbox_service_server::InboxServiceServer;
use tenure_proto::v1::run_service_server::RunServiceServer;
use tenure_proto::v1::tenant_service_server::TenantServiceServer;
use tenure_proto::v1::worker_service_server::WorkerServiceServer;
use tenure_proto::{DESCRIPTORS, status, v1};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::service::Routes;

use crate::log;
use crate::service::Service;

/// What every handler has: the use cases, and the sign to let go of held calls.
#[derive(Clone)]
struct Api {
    service: Arc<Service>,
    shutdown: CancellationToken,
}

/// All services, with health and reflection.
pub(crate) async fn routes(service: &Arc<Service>, shutdown: &CancellationToken) -> Router {
    let api = Api { service: service.clone(), shutdown: shutdown.clone() };
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<RunServiceServer<Api>>().await;
    reporter.set_serving::<WorkerServiceServer<Api>>().await;
    let stopping = shutdown.clone();
    tokio::spawn(async move {
        stopping.cancelled().await;
        reporter.set_not_serving::<RunServiceServer<Api>>().await;
        reporter.set_not_serving::<WorkerServiceServer<Api>>().await;
    });
    let runs = RunServiceServer::new(api.clone()).max_decoding_message_size(limits::GRPC_MESSAGE);
    let workers =
        WorkerServiceServer::new(api.clone()).max_decoding_message_size(limits::GRPC_MESSAGE);
    let inbox =
        InboxServiceServer::new(api.clone()).max_decoding_message_size(limits::GRPC_MESSAGE);
    // Made of an empty router: one of tonic's own has a fallback, and so has that of HTTP.
    let mut routes = Routes::from(Router::new())
        .add_service(TenantServiceServer::new(api.clone()))
        .add_service(AgentServiceServer::new(api))
        .add_service(runs)
        .add_service(inbox)
        .add_service(workers)
        .add_service(health);
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1();
    match reflection {
        Ok(reflection) => routes = routes.add_service(reflection),
        Err(error) => tracing::error!(%error, "serving without reflection"),
    }
    routes.into_axum_router().layer(axum::middleware::from_fn(log::under_its_id))
}

impl Api {
    /// The status that answers an error. What only the log may hold goes there, under an id that
    /// the client gets as well.
    fn refuse(&self, error: &Error) -> Status {
        let mut status = status::to_status(error);
        if let Some(id) = self.log(error).and_then(|id| id.parse().ok()) {
            status.metadata_mut().insert("x-request-id", id);
        }
        status
    }

    /// The same, for one of several things in a call.
    fn refuse_part(&self, error: &Error) -> v1::Refusal {
        self.log(error);
        status::refusal(error)
    }

    /// Logs what an error keeps from the client; the id that it is logged under.
    fn log(&self, error: &Error) -> Option<String> {
        error.context()?;
        let id = log::request_id(self.service.entropy());
        log::error(&id, error);
        Some(id)
    }
}

/// A name that may be left out.
fn some_name(field: &str, text: &str) -> Result<Option<Name>, Error> {
    Some(text).filter(|text| !text.is_empty()).map(|text| name(field, text)).transpose()
}

/// A name in a request, with the field named if it is not one.
fn name(field: &str, text: &str) -> Result<Name, Error> {
    text.parse().map_err(|error| Error::invalid(format!("{field}: {error}")))
}
