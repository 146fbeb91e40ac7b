//! The client: typed channels to the control plane.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use tenure_core::{Error, Name, limits};
use tenure_proto::{status, v1};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};
use tonic_prost::ProstCodec;
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

/// A `BatchCommitRequest` whose commits are encoded already: the same on the wire.
#[derive(Clone, PartialEq, prost::Message)]
struct EncodedCommits {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    commits: Vec<Bytes>,
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

    /// Several encoded commits in one call.
    pub(crate) async fn batch_commit(
        &self,
        commits: Vec<Bytes>,
    ) -> Result<v1::BatchCommitResponse, Status> {
        let mut grpc = Grpc::new(self.channel.clone());
        let ready = grpc.ready().await;
        ready.map_err(|error| Status::unavailable(format!("no connection: {error}")))?;
        let path = PathAndQuery::from_static("/tenure.v1.WorkerService/BatchCommit");
        let request = tonic::Request::new(EncodedCommits { commits });
        grpc.unary(request, path, ProstCodec::default()).await.map(Response::into_inner)
    }

    /// Makes a call until it succeeds or fails for good. For calls that are safe to repeat: every
    /// read, and every write with an identity of its own.
    pub async fn retry<T, F, Fut>(&self, mut call: F) -> Result<T, Error>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<Response<T>, Status>>,
    {
        let once = || {
            let answer = call();
            async { answer.await.map(Response::into_inner).map_err(|status| error(&status)) }
        };
        repeated(once).await
    }
}

/// Does something until it succeeds or fails for good.
pub(crate) async fn repeated<T, F, Fut>(mut once: F) -> Result<T, Error>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, Error>>,
{
    let mut backoff = Backoff::default();
    loop {
        let error = match once().await {
            Err(error) if error.retryable() => error,
            ended => return ended,
        };
        let pause = backoff.next();
        tracing::debug!(%error, "retrying a call in {pause:?}");
        tokio::time::sleep(pause).await;
    }
}

/// The pauses between attempts of a call: they double, and chance shortens them.
pub(crate) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(BACKOFF.0)
    }
}

impl Backoff {
    /// The pause before the next attempt.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(BACKOFF.1);
        jittered(pause)
    }
}

/// Half to all of `pause`, so that those who failed together do not come back together.
pub(crate) fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + entropy::chance() / 2.0)
}
