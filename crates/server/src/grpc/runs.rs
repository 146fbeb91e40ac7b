use std::pin::Pin;

use futures::{Stream, StreamExt as _};
use prost::Message as _;
use tenure_core::{Digest, Error, RunId};
use tenure_proto::v1::run_service_server::RunService;
use tenure_proto::{convert, v1};
use tenure_store::FullRun;
use tonic::{Request, Response, Status, async_trait};

use super::{Api, name, some_name, steering};
use crate::page;
use crate::service::{CreateRun, ListRuns, RunEvent, WatchRun};

fn run(full: FullRun) -> v1::Run {
    convert::run(full.run, &full.agent, full.input, full.labels)
}

#[async_trait]
impl RunService for Api {
    async fn create_run(
        &self,
        request: Request<v1::CreateRunRequest>,
    ) -> Result<Response<v1::Run>, Status> {
        let mut request = request.into_inner();
        let created = async {
            let wait = convert::duration_in("wait", request.wait.take())?;
            let digest = Digest::of(request.encode_to_vec());
            let key = request.idempotency_key;
            let create = CreateRun {
                tenant: name("tenant", &request.tenant)?,
                agent: name("agent", &request.agent)?,
                version: request.version,
                input: convert::payload_in(request.input),
                labels: request.labels,
                idempotency: (!key.is_empty()).then_some((key, digest)),
                start_after: convert::duration_in("start_after", request.start_after)?,
                max_attempts: (request.max_attempts > 0).then_some(request.max_attempts),
                retry: convert::retry_in(request.retry)?,
                priority: request.priority,
                timeout: convert::duration_if("timeout", request.timeout)?,
                concurrency: convert::concurrency_in(request.concurrency)?,
                budget: convert::budget_in(request.budget),
            };
            self.service.create_run(create, wait).await
        };
        self.answer(created.await)
    }

    async fn get_run(
        &self,
        request: Request<v1::GetRunRequest>,
    ) -> Result<Response<v1::Run>, Status> {
        let request = request.into_inner();
        let found = async {
            let tenant = name("tenant", &request.tenant)?;
            let wait = convert::duration_in("wait", request.wait)?;
            self.service.get_run(&tenant, request.run.parse()?, wait).await
        };
        self.answer(found.await)
    }

    async fn list_runs(
        &self,
        request: Request<v1::ListRunsRequest>,
    ) -> Result<Response<v1::ListRunsResponse>, Status> {
        let request = request.into_inner();
        let listed = async {
            let tenant = name("tenant", &request.tenant)?;
            let size = page::size(request.page_size);
            let before: Option<RunId> = page::after(&request.page_token)?;
            let list = list_in(request)?;
            let found = self.service.list_runs(&tenant, list, before, size + 1).await?;
            Ok(page::cut(found, size, |full| full.run.id.to_string()))
        };
        let (runs, next_page_token) = listed.await.map_err(|error: Error| self.refuse(&error))?;
        let runs = runs.into_iter().map(run).collect();
        Ok(Response::new(v1::ListRunsResponse { runs, next_page_token }))
    }

    async fn cancel_run(
        &self,
        request: Request<v1::CancelRunRequest>,
    ) -> Result<Response<v1::Run>, Status> {
        self.answer(steering::cancel(&self.service, request.into_inner()).await)
    }

    async fn retry_run(
        &self,
        request: Request<v1::RetryRunRequest>,
    ) -> Result<Response<v1::Run>, Status> {
        self.answer(steering::retry(&self.service, request.into_inner()).await)
    }

    async fn pause_run(
        &self,
        request: Request<v1::PauseRunRequest>,
    ) -> Result<Response<v1::Run>, Status> {
        self.answer(steering::pause(&self.service, request.into_inner()).await)
    }

    async fn resume_run(
        &self,
        request: Request<v1::ResumeRunRequest>,
    ) -> Result<Response<v1::Run>, Status> {
        self.answer(steering::resume(&self.service, request.into_inner()).await)
    }

    async fn patch_run(
        &self,
        request: Request<v1::PatchRunRequest>,
    ) -> Result<Response<v1::Run>, Status> {
        self.answer(steering::patch(&self.service, request.into_inner()).await)
    }

    async fn prioritize_run(
        &self,
        request: Request<v1::PrioritizeRunRequest>,
    ) -> Result<Response<v1::Run>, Status> {
        self.answer(steering::prioritize(&self.service, request.into_inner()).await)
    }

    async fn fork_run(
        &self,
        request: Request<v1::ForkRunRequest>,
    ) -> Result<Response<v1::Run>, Status> {
        self.answer(steering::fork(&self.service, request.into_inner()).await)
    }

    async fn check_run(
        &self,
        request: Request<v1::CheckRunRequest>,
    ) -> Result<Response<v1::Run>, Status> {
        self.answer(steering::check(&self.service, request.into_inner()).await)
    }

    async fn explain_run(
        &self,
        request: Request<v1::ExplainRunRequest>,
    ) -> Result<Response<v1::ExplainRunResponse>, Status> {
        let request = request.into_inner();
        let explained = async {
            let tenant = name("tenant", &request.tenant)?;
            self.service.explain_run(&tenant, request.run.parse()?).await
        };
        let why = explained.await.map_err(|error| self.refuse(&error))?;
        Ok(Response::new(v1::ExplainRunResponse {
            code: why.code.into(),
            sentence: why.sentence,
            since: Some(convert::timestamp(why.since)),
        }))
    }

    async fn signal_run(
        &self,
        request: Request<v1::SignalRunRequest>,
    ) -> Result<Response<v1::SignalRunResponse>, Status> {
        let request = request.into_inner();
        let signalled = async {
            let tenant = name("tenant", &request.tenant)?;
            let signal = name("name", &request.name)?;
            let payload = convert::payload_in(request.payload);
            let (run, id) = (request.run.parse()?, &request.request_id);
            self.service.signal_run(&tenant, run, signal, payload, id).await
        };
        let delivered = signalled.await.map_err(|error| self.refuse(&error))?;
        Ok(Response::new(v1::SignalRunResponse { delivered }))
    }

    type WatchRunStream =
        Pin<Box<dyn Stream<Item = Result<v1::WatchRunResponse, Status>> + Send + 'static>>;

    async fn watch_run(
        &self,
        request: Request<v1::WatchRunRequest>,
    ) -> Result<Response<Self::WatchRunStream>, Status> {
        let request = request.into_inner();
        let watched = async {
            let tenant = name("tenant", &request.tenant)?;
            let what = WatchRun { after: request.after_seq, stream: request.stream };
            self.service.watch_run(&tenant, request.run.parse()?, what).await
        };
        let events = watched.await.map_err(|error| self.refuse(&error))?;
        let api = self.clone();
        let events = events.map(move |event| match event {
            Ok(event) => Ok(v1::WatchRunResponse { event: Some(watched_event(event)) }),
            Err(error) => Err(api.refuse(&error)),
        });
        // An endless stream would hold up the shutdown for ever.
        let events = events.take_until(self.shutdown.clone().cancelled_owned());
        Ok(Response::new(Box::pin(events)))
    }

    async fn list_entries(
        &self,
        request: Request<v1::ListEntriesRequest>,
    ) -> Result<Response<v1::ListEntriesResponse>, Status> {
        let request = request.into_inner();
        let listed = async {
            let tenant = name("tenant", &request.tenant)?;
            let limit = match request.page_size {
                0 => usize::MAX,
                some => usize::try_from(some).unwrap_or(usize::MAX),
            };
            let (run, after) = (request.run.parse()?, request.after_seq);
            self.service.list_entries(&tenant, run, after, limit).await
        };
        let page = listed.await.map_err(|error| self.refuse(&error))?;
        let entries = page.entries.into_iter().map(convert::entry).collect();
        Ok(Response::new(v1::ListEntriesResponse { entries, more: page.more }))
    }

    async fn list_artifacts(
        &self,
        request: Request<v1::ListArtifactsRequest>,
    ) -> Result<Response<v1::ListArtifactsResponse>, Status> {
        let request = request.into_inner();
        let listed = async {
            let tenant = name("tenant", &request.tenant)?;
            self.service.list_artifacts(&tenant, request.run.parse()?).await
        };
        let rows = listed.await.map_err(|error| self.refuse(&error))?;
        let artifacts = rows.into_iter().map(|row| convert::artifact(row.artifact, row.size));
        Ok(Response::new(v1::ListArtifactsResponse { artifacts: artifacts.collect() }))
    }

    async fn get_artifact(
        &self,
        request: Request<v1::GetArtifactRequest>,
    ) -> Result<Response<v1::Artifact>, Status> {
        let request = request.into_inner();
        let found = async {
            let tenant = name("tenant", &request.tenant)?;
            self.service.get_artifact(&tenant, request.run.parse()?, &request.name).await
        };
        let artifact = found.await.map_err(|error| self.refuse(&error))?;
        let size = artifact.data.len() as u64;
        Ok(Response::new(convert::artifact(artifact, size)))
    }
}

impl Api {
    fn answer(&self, full: Result<FullRun, Error>) -> Result<Response<v1::Run>, Status> {
        full.map(|full| Response::new(run(full))).map_err(|error| self.refuse(&error))
    }
}

fn list_in(request: v1::ListRunsRequest) -> Result<ListRuns, Error> {
    let some = |text: String| (!text.is_empty()).then_some(text);
    Ok(ListRuns {
        agent: some_name("agent", &request.agent)?,
        states: convert::states_in(&request.states)?,
        failure_code: some(request.failure_code),
        parent: some(request.parent).map(|parent| parent.parse()).transpose()?,
        concurrency: some(request.concurrency_key),
    })
}

fn watched_event(event: RunEvent) -> v1::watch_run_response::Event {
    match event {
        RunEvent::Run(full) => v1::watch_run_response::Event::Run(run(*full)),
        RunEvent::Entry(entry) => v1::watch_run_response::Event::Entry(convert::entry(*entry)),
        RunEvent::Published(event) => {
            v1::watch_run_response::Event::Published(convert::stream_event(*event))
        }
        RunEvent::Missed(events) => v1::watch_run_response::Event::Missed(v1::Missed { events }),
    }
}
