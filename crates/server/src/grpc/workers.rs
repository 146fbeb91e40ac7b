use std::collections::BTreeSet;

use futures::future::join_all;
use tenure_core::allowance::{Bound, Estimate};
use tenure_core::{Error, Name, limits};
use tenure_proto::v1::worker_service_server::WorkerService;
use tenure_proto::{convert, v1};
use tonic::{Request, Response, Status, Streaming, async_trait};
use v1::commit_result::Result as Committed;
use v1::poll_response::Result as Wire;

use super::{Api, name};
use crate::service::{HeldLease, LeaseNews, LeasedRun, Poll, Polled, Reserve, Spent};

#[async_trait]
impl WorkerService for Api {
    async fn poll(
        &self,
        request: Request<v1::PollRequest>,
    ) -> Result<Response<v1::PollResponse>, Status> {
        let request = request.into_inner();
        let polled = async {
            let poll = poll_in(&request)?;
            tokio::select! {
                polled = self.service.poll(poll) => polled,
                // Answered empty, not cut: the worker polls another replica.
                () = self.shutdown.cancelled() => Ok(Polled::Runs(Vec::new())),
            }
        };
        let result = match polled.await.map_err(|error| self.refuse(&error))? {
            Polled::Runs(runs) if runs.is_empty() => Wire::Noop(v1::Noop {}),
            Polled::Runs(runs) => Wire::Dispatched(v1::Dispatched {
                runs: runs.into_iter().map(leased_run).collect(),
            }),
            Polled::Backpressure { reason, retry_after } => {
                let retry_after = Some(convert::duration(retry_after));
                Wire::Backpressure(v1::Backpressure { reason, retry_after })
            }
        };
        Ok(Response::new(v1::PollResponse { result: Some(result) }))
    }

    async fn leave(
        &self,
        request: Request<v1::LeaveRequest>,
    ) -> Result<Response<v1::LeaveResponse>, Status> {
        let worker = request.get_ref().worker.parse();
        self.service.leave(worker.map_err(|error| self.refuse(&error))?);
        Ok(Response::new(v1::LeaveResponse {}))
    }

    async fn heartbeat(
        &self,
        request: Request<v1::HeartbeatRequest>,
    ) -> Result<Response<v1::HeartbeatResponse>, Status> {
        let request = request.into_inner();
        let beaten = async {
            let tenant = name("tenant", &request.tenant)?;
            let worker = request.worker.parse()?;
            let leases: Vec<HeldLease> =
                request.leases.iter().map(held_in).collect::<Result<_, _>>()?;
            let wait = convert::duration_in("wait", request.wait)?;
            tokio::select! {
                news = self.service.heartbeat(&tenant, worker, &leases, wait) => news,
                () = self.shutdown.cancelled() => Ok(Vec::new()),
            }
        };
        let news = beaten.await.map_err(|error: Error| self.refuse(&error))?;
        let news = news.into_iter().map(lease_news).collect();
        Ok(Response::new(v1::HeartbeatResponse { news }))
    }

    async fn commit(
        &self,
        request: Request<v1::CommitRequest>,
    ) -> Result<Response<v1::CommitResponse>, Status> {
        let committed = self.commit_one(request.into_inner()).await;
        Ok(Response::new(committed.map_err(|error| self.refuse(&error))?))
    }

    async fn batch_commit(
        &self,
        request: Request<v1::BatchCommitRequest>,
    ) -> Result<Response<v1::BatchCommitResponse>, Status> {
        let commits = request.into_inner().commits;
        check_batch(&commits).map_err(|error| self.refuse(&error))?;
        let one = |commit| async {
            let result = match self.commit_one(commit).await {
                Ok(committed) => Committed::Committed(committed),
                Err(error) => Committed::Refused(self.refuse_part(&error)),
            };
            v1::CommitResult { result: Some(result) }
        };
        let results = join_all(commits.into_iter().map(one)).await;
        Ok(Response::new(v1::BatchCommitResponse { results }))
    }

    async fn read_journal(
        &self,
        request: Request<v1::ReadJournalRequest>,
    ) -> Result<Response<v1::ReadJournalResponse>, Status> {
        let request = request.into_inner();
        let read = async {
            let tenant = name("tenant", &request.tenant)?;
            let (run, after) = (request.run.parse()?, request.after_seq);
            self.service.list_entries(&tenant, run, after, usize::MAX).await
        };
        let page = read.await.map_err(|error| self.refuse(&error))?;
        let entries = page.entries.into_iter().map(convert::entry).collect();
        Ok(Response::new(v1::ReadJournalResponse { entries, more: page.more }))
    }

    async fn read_inbox(
        &self,
        request: Request<v1::ReadInboxRequest>,
    ) -> Result<Response<v1::ReadInboxResponse>, Status> {
        let request = request.into_inner();
        let read = async {
            let tenant = name("tenant", &request.tenant)?;
            self.service.read_inbox(&tenant, request.run.parse()?, request.after).await
        };
        let (items, more) = read.await.map_err(|error| self.refuse(&error))?;
        let items = items.into_iter().map(convert::inbox_item).collect();
        Ok(Response::new(v1::ReadInboxResponse { items, more }))
    }

    async fn get_spec(
        &self,
        request: Request<v1::GetSpecRequest>,
    ) -> Result<Response<v1::GetSpecResponse>, Status> {
        let request = request.into_inner();
        let found = async {
            let tenant = name("tenant", &request.tenant)?;
            self.service.get_spec(&tenant, &request.digest.parse()?).await
        };
        let spec = found.await.map_err(|error| self.refuse(&error))?;
        let spec = String::from_utf8_lossy(&spec).into_owned();
        Ok(Response::new(v1::GetSpecResponse { spec }))
    }

    async fn put_artifact(
        &self,
        request: Request<v1::PutArtifactRequest>,
    ) -> Result<Response<v1::PutArtifactResponse>, Status> {
        let request = request.into_inner();
        let put = async {
            let tenant = name("tenant", &request.tenant)?;
            let (run, lease) = (request.run.parse()?, request.lease.parse()?);
            let v1::PutArtifactRequest { name, content_type, data, .. } = request;
            self.service.put_artifact(&tenant, run, lease, name, content_type, data).await
        };
        let artifact = put.await.map_err(|error| self.refuse(&error))?;
        let (id, digest) = (artifact.id.to_string(), artifact.digest.to_string());
        Ok(Response::new(v1::PutArtifactResponse { id, digest }))
    }

    async fn reserve(
        &self,
        request: Request<v1::ReserveRequest>,
    ) -> Result<Response<v1::ReserveResponse>, Status> {
        let request = request.into_inner();
        let reserved = async {
            let tenant = name("tenant", &request.tenant)?;
            self.service.reserve(&tenant, reserve_in(&request)?).await
        };
        let spent = reserved.await.map_err(|error: Error| self.refuse(&error))?.map(spent);
        Ok(Response::new(v1::ReserveResponse { spent }))
    }

    async fn publish(
        &self,
        request: Request<Streaming<v1::PublishRequest>>,
    ) -> Result<Response<v1::PublishResponse>, Status> {
        let mut events = request.into_inner();
        loop {
            let event = tokio::select! {
                event = events.message() => event?,
                () = self.shutdown.cancelled() => None,
            };
            let Some(event) = event else { return Ok(Response::new(v1::PublishResponse {})) };
            self.publish_one(event).await.map_err(|error| self.refuse(&error))?;
        }
    }
}

impl Api {
    async fn commit_one(&self, request: v1::CommitRequest) -> Result<v1::CommitResponse, Error> {
        let tenant = name("tenant", &request.tenant)?;
        let run = request.run.parse()?;
        let run = self.service.commit(&tenant, run, convert::commit_in(request)?).await?;
        Ok(v1::CommitResponse {
            next_seq: run.next_seq,
            inbox: run.inbox,
            cancel_requested: run.cancel_asked().is_some(),
            pause_requested: run.pause_asked(),
        })
    }
}

impl Api {
    async fn publish_one(&self, request: v1::PublishRequest) -> Result<(), Error> {
        let tenant = name("tenant", &request.tenant)?;
        let (run, lease) = (request.run.parse()?, request.lease.parse()?);
        let event = convert::required("event", request.event)?;
        self.service.publish(&tenant, run, lease, convert::stream_event_in(event)?).await
    }
}

fn check_batch(commits: &[v1::CommitRequest]) -> Result<(), Error> {
    match commits.len() {
        0 => Err(Error::invalid("commits is empty: send at least one")),
        1..=limits::LEASES => Ok(()),
        more => Err(Error::too_large("the number of commits in one batch", more, limits::LEASES)),
    }
}

fn poll_in(request: &v1::PollRequest) -> Result<Poll, Error> {
    let tenants = request.tenants.iter().map(|tenant| name("tenants", tenant));
    let pools = request.pools.iter().map(|pool| name("pools", pool));
    Ok(Poll {
        tenants: tenants.collect::<Result<BTreeSet<Name>, _>>()?,
        worker: request.worker.parse()?,
        pools: pools.collect::<Result<BTreeSet<Name>, _>>()?,
        capacity: usize::try_from(request.capacity).unwrap_or(usize::MAX),
        wait: convert::duration_in("wait", request.wait)?,
    })
}

fn reserve_in(request: &v1::ReserveRequest) -> Result<Reserve, Error> {
    Ok(Reserve {
        run: request.run.parse()?,
        lease: request.lease.parse()?,
        key: request.key.parse()?,
        estimate: Estimate { cost_micros: request.cost_micros, tokens: request.tokens },
    })
}

fn spent(Spent { message, refusal }: Spent) -> v1::Spent {
    let renews_at = Some(convert::timestamp(refusal.renews_at));
    v1::Spent { message, renews_at, unpriced: refusal.bound == Bound::UnknownCost }
}

fn held_in(held: &v1::HeldLease) -> Result<HeldLease, Error> {
    Ok(HeldLease {
        run: held.run.parse()?,
        lease: held.lease.parse()?,
        inbox: held.inbox,
        cancel_requested: held.cancel_requested,
        pause_requested: held.pause_requested,
    })
}

fn lease_news(news: LeaseNews) -> v1::LeaseNews {
    v1::LeaseNews {
        run: news.run.to_string(),
        lease: news.lease.to_string(),
        lost: news.lost,
        cancel_requested: news.cancel_requested,
        pause_requested: news.pause_requested,
        inbox: news.inbox,
    }
}

fn leased_run(leased: LeasedRun) -> v1::LeasedRun {
    let (offer_ttl, ttl) = leased.ttls;
    v1::LeasedRun {
        run: leased.run.id.to_string(),
        agent: leased.agent.to_string(),
        version: leased.run.version,
        spec_digest: leased.version.digest.to_string(),
        lease: leased.lease.id.to_string(),
        epoch: leased.lease.epoch,
        offer_ttl: Some(convert::duration(offer_ttl)),
        ttl: Some(convert::duration(ttl)),
        next_seq: leased.run.next_seq,
        inbox: leased.run.inbox,
        attempts: leased.run.attempts,
        input: Some(convert::payload(leased.input)),
        entries: leased.journal.entries.into_iter().map(convert::entry).collect(),
        more: leased.journal.more,
        leased_at: Some(convert::timestamp(leased.run.updated_at)),
        tenant: leased.tenant.to_string(),
        budget: convert::budget(leased.run.budget),
        check: leased.check.map(|check| v1::Check {
            run: check.run.to_string(),
            entries: check.entries,
            inbox: check.inbox,
        }),
    }
}
