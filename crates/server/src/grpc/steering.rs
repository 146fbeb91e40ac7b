//! What people do to runs: from the wire into the use cases.

use std::sync::Arc;

use prost::Message as _;
use tenure_core::{Digest, EntryStatus, Error, Result};
use tenure_proto::{convert, v1};
use tenure_store::FullRun;

use super::name;
use crate::service::{ForkRun, Service};

pub(super) async fn cancel(service: &Service, request: v1::CancelRunRequest) -> Result<FullRun> {
    let (tenant, run) = (name("tenant", &request.tenant)?, request.run.parse()?);
    service.cancel_run(&tenant, run, convert::steering_in(request.steering)).await
}

pub(super) async fn retry(service: &Service, request: v1::RetryRunRequest) -> Result<FullRun> {
    let (tenant, run) = (name("tenant", &request.tenant)?, request.run.parse()?);
    service.retry_run(&tenant, run, convert::steering_in(request.steering)).await
}

pub(super) async fn pause(service: &Service, request: v1::PauseRunRequest) -> Result<FullRun> {
    let (tenant, run) = (name("tenant", &request.tenant)?, request.run.parse()?);
    service.pause_run(&tenant, run, convert::steering_in(request.steering)).await
}

pub(super) async fn resume(service: &Service, request: v1::ResumeRunRequest) -> Result<FullRun> {
    let (tenant, run) = (name("tenant", &request.tenant)?, request.run.parse()?);
    service.resume_run(&tenant, run, convert::steering_in(request.steering)).await
}

pub(super) async fn patch(service: &Service, request: v1::PatchRunRequest) -> Result<FullRun> {
    use v1::patch_run_request::Result as Wire;
    let (tenant, run) = (name("tenant", &request.tenant)?, request.run.parse()?);
    let status = match convert::required("result", request.result)? {
        Wire::Payload(payload) => EntryStatus::Succeeded(convert::payload_in(Some(payload))),
        Wire::Failure(failure) => EntryStatus::Failed(convert::failure_in(failure)),
    };
    let by = convert::steering_in(request.steering);
    service.patch_run(&tenant, run, request.key.parse()?, status, by).await
}

pub(super) async fn prioritize(
    service: &Service,
    request: v1::PrioritizeRunRequest,
) -> Result<FullRun> {
    let (tenant, run) = (name("tenant", &request.tenant)?, request.run.parse()?);
    let by = convert::steering_in(request.steering);
    service.prioritize_run(&tenant, run, request.priority, by).await
}

pub(super) async fn fork(service: &Arc<Service>, request: v1::ForkRunRequest) -> Result<FullRun> {
    let digest = Digest::of(request.encode_to_vec());
    let fork = ForkRun {
        tenant: name("tenant", &request.tenant)?,
        run: request.run.parse()?,
        from_step: match &*request.from_step {
            "" => None,
            key => Some(key.parse().map_err(|error: Error| {
                Error::invalid(format!("from_step: {}", error.message()))
            })?),
        },
        tools_recorded: request.tools() == v1::ForkTools::Recorded,
        version: request.version,
        input: request.input.map(|input| convert::payload_in(Some(input))),
        labels: request.labels,
        idempotency: (!request.idempotency_key.is_empty())
            .then_some((request.idempotency_key, digest)),
    };
    service.fork_run(fork).await
}

pub(super) async fn check(service: &Service, request: v1::CheckRunRequest) -> Result<FullRun> {
    let (tenant, run) = (name("tenant", &request.tenant)?, request.run.parse()?);
    service.check_run(&tenant, run, request.version).await
}
