//! The client: typed channels to the control plane.

use std::future::Future;
use std::time::Duration;

use tenure_core::{Error, Name, limits};
use tenure_proto::{status, v1};
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use v1::agent_service_client::AgentServiceClient;
use v1::inbox_service_client::InboxServiceClient;
use v1::run_service_client::RunServiceClient;
use v1::tenant_service_client::TenantServiceClient;
use v1::worker_service_client::WorkerServiceClient;

use crate::entropy;

/// A connection to one control plane, speaking for one tenant. Cloning is cheap and shares it.
#[derive(Clone, Debug)]
pub struct Client {
    endpoint: Endpoint,
    channel: Channel,
    tenant: Name,
}

/// What a status from the control plane says, in Tenure's words.
pub fn error(status: &Status) -> Error {
    status::from_status(status)
}

/// First and longest pause between attempts of a call that may pass later.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

impl Client {
    /// A client of the control plane at `url` (`http://…` or `https://…`) for `tenant`. The
    /// connection is made with the first call, and again whenever it broke. Needs a tokio runtime.
    pub fn connect(url: &str, tenant: Name) -> Result<Self, Error> {
        let endpoint = Endpoint::from_shared(url.to_owned())
            .map_err(|_| Error::invalid(format!("`{url}` is not a URL such as http://host:7700")))?
            .connect_timeout(Duration::from_secs(5))
            .tcp_nodelay(true)
            // Finds a peer that has vanished without closing within 15 s.
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(5))
            .keep_alive_while_idle(true);
        Ok(Self { channel: endpoint.connect_lazy(), endpoint, tenant })
    }

    /// A client of the control plane at `TENURE_URL` (`http://127.0.0.1:7700` if it is not set) for
    /// the tenant `TENURE_TENANT` (`default`).
    pub fn from_env() -> Result<Self, Error> {
        let url = std::env::var("TENURE_URL").unwrap_or_else(|_| "http://127.0.0.1:7700".into());
        let tenant = std::env::var("TENURE_TENANT").unwrap_or_else(|_| "default".into());
        Self::connect(&url, tenant.parse()?)
    }

    /// The same client over a connection of its own, driven by the runtime that calls this.
    pub(crate) fn reconnected(&self) -> Self {
        Self { channel: self.endpoint.connect_lazy(), ..self.clone() }
    }

    /// The same client over the same connection, for another tenant.
    #[must_use]
    pub fn for_tenant(&self, tenant: Name) -> Self {
        Self { tenant, ..self.clone() }
    }

    /// The tenant that this client speaks for.
    pub fn tenant(&self) -> &Name {
        &self.tenant
    }

    /// Calls about tenants.
    pub fn tenants(&self) -> TenantServiceClient<Channel> {
        TenantServiceClient::new(self.channel.clone())
    }

    /// Calls about agents, versions and aliases.
    pub fn agents(&self) -> AgentServiceClient<Channel> {
        AgentServiceClient::new(self.channel.clone())
    }

    /// Calls about runs, journals and artifacts.
    pub fn runs(&self) -> RunServiceClient<Channel> {
        RunServiceClient::new(self.channel.clone()).max_decoding_message_size(limits::GRPC_MESSAGE)
    }

    /// Calls about interrupts: what runs ask, and the answers.
    pub fn inbox(&self) -> InboxServiceClient<Channel> {
        InboxServiceClient::new(self.channel.clone())
            .max_decoding_message_size(limits::GRPC_MESSAGE)
    }

    /// The worker protocol, for those who write a worker runtime of their own.
    pub fn workers(&self) -> WorkerServiceClient<Channel> {
        WorkerServiceClient::new(self.channel.clone())
            .max_decoding_message_size(limits::GRPC_MESSAGE)
    }

    /// Makes a call until it succeeds or fails for good. For calls that are safe to repeat: every
    /// read, and every write with an identity of its own.
    pub async fn retry<T, F, Fut>(&self, mut call: F) -> Result<T, Error>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        let mut pause = BACKOFF.0;
        loop {
            let error = match call().await {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) => error(&status),
            };
            if !error.retryable() {
                return Err(error);
            }
            tracing::debug!(%error, "retrying a call in {pause:?}");
            tokio::time::sleep(jittered(pause)).await;
            pause = (pause * 2).min(BACKOFF.1);
        }
    }
}

/// Half to all of `pause`, so that those who failed together do not come back together.
pub(crate) fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + entropy::chance() / 2.0)
}
