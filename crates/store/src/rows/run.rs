//! Runs and their places in the queue.

use std::collections::BTreeMap;
use std::time::Duration;

use tenure_core::queue::Ready;
use tenure_core::run::{Parent, Request, RetryPolicy, RunState, StateName, WaitReason};
use tenure_core::{
    AgentId, Key, Lease, LeaseId, Payload, Run, RunId, Steering, TenantId, WorkerId,
};

use super::{Columns, Reader};
use crate::documents::{self, BudgetDocument};
use crate::{FullRun, Result};

impl<R: Columns> Reader<'_, R> {
    pub(crate) fn run(&self) -> Result<Run> {
        let epoch = self.count("epoch")?;
        Ok(Run {
            id: RunId::new(self.id("run_id")?),
            tenant: TenantId::new(self.id("tenant_id")?),
            agent: AgentId::new(self.id("agent_id")?),
            version: self.small("version")?,
            pool: self.name("pool")?,
            state: self.state(epoch)?,
            epoch,
            next_seq: self.count("next_seq")?,
            inbox: self.count("inbox")?,
            last_commit: self.digest_if("last_commit")?,
            request: self.request()?,
            attempts: self.small("attempts")?,
            max_attempts: self.small("max_attempts")?,
            stalled: self.small("stalled")?,
            offers: self.small("offers")?,
            retry: self.retry()?,
            retried: self.small("retried")?,
            priority: self.good("priority", i32::try_from(self.int("priority")?))?,
            start_at: self.time("start_at")?,
            deadline: self.time_if("deadline")?,
            concurrency: self.text_if("concurrency_key")?,
            parent: self.parent()?,
            depth: self.small("depth")?,
            children: self.small("children")?,
            interrupts: self.small("interrupts")?,
            posted: self.count("posted")?,
            check: self.id_if("check_run")?.map(RunId::new),
            budget: BudgetDocument::budget(self.json_if("budget")?.as_ref()),
            usage: self.usage(String::new())?,
            called: self.used("called")?.unwrap_or_default(),
            revision: self.count("revision")?,
            created_at: self.time("created_at")?,
            updated_at: self.time("updated_at")?,
        })
    }

    /// A run with its labels, and its input where the statement selects one.
    pub(crate) fn full_run(&self) -> Result<FullRun> {
        Ok(FullRun {
            run: self.run()?,
            agent: self.name("agent_name")?,
            input: self.input()?,
            labels: self.json::<BTreeMap<_, _>>("labels")?,
        })
    }

    pub(crate) fn input(&self) -> Result<Payload> {
        self.payload(["input_type", "input_encoding", "input"])
    }

    /// The run, for a sweep over the rows of all tenants: one that is damaged must not keep the
    /// others from being found, so it is passed over, loudly.
    pub(crate) fn run_if_readable(&self) -> Option<Run> {
        self.run().inspect_err(|error| tracing::error!(%error, "passing over a run")).ok()
    }

    fn state(&self, epoch: u64) -> Result<RunState> {
        let word = self.text("state")?;
        let state = StateName::parse(&word).ok_or_else(|| self.unknown("state", &word, "state"))?;
        Ok(match state {
            StateName::Queued => RunState::Queued { ready_at: self.time("ready_at")? },
            StateName::Running => RunState::Running { lease: self.lease(epoch)? },
            StateName::Waiting => RunState::Waiting { reason: self.wait_reason()? },
            StateName::Succeeded => RunState::Succeeded {
                output: self.payload(["output_type", "output_encoding", "output"])?,
                at: self.time("ended_at")?,
            },
            StateName::Failed => {
                RunState::Failed { failure: self.failure()?, at: self.time("ended_at")? }
            }
            StateName::Cancelled => {
                RunState::Cancelled { by: self.steering()?, at: self.time("ended_at")? }
            }
        })
    }

    fn lease(&self, epoch: u64) -> Result<Lease> {
        Ok(Lease {
            id: LeaseId::new(self.id("lease_id")?),
            epoch,
            worker: WorkerId::new(self.id("lease_worker")?),
            until: self.time("lease_until")?,
            started: self.flag("lease_started")?,
        })
    }

    fn wait_reason(&self) -> Result<WaitReason> {
        let word = self.text("wait_reason")?;
        match &*word {
            "inbox" => {
                Ok(WaitReason::Inbox { until: self.time_if("ready_at")?, on: self.wait_on()? })
            }
            "blocked" => Ok(WaitReason::Blocked(self.failure()?)),
            "paused" => Ok(WaitReason::Paused(self.steering()?)),
            "turn" => Ok(WaitReason::Turn),
            _ => Err(self.unknown("wait_reason", &word, "reason")),
        }
    }

    fn wait_on(&self) -> Result<Vec<Key>> {
        let text = self.text("wait_on")?;
        text.lines().map(|key| self.good("wait_on", key.parse())).collect()
    }

    fn request(&self) -> Result<Option<Request>> {
        let Some(word) = self.text_if("request")? else { return Ok(None) };
        let by = self.steering()?;
        match &*word {
            "cancel" => Ok(Some(Request::Cancel { by, force_at: self.time("cancel_force_at")? })),
            "pause" => Ok(Some(Request::Pause { by })),
            _ => Err(self.unknown("request", &word, "request")),
        }
    }

    fn steering(&self) -> Result<Steering> {
        Ok(Steering { actor: self.text("steer_actor")?, reason: self.text("steer_reason")? })
    }

    fn retry(&self) -> Result<RetryPolicy> {
        Ok(RetryPolicy {
            limit: self.small("retry_limit")?,
            backoff: self.duration("retry_backoff_micros")?,
            max_backoff: self.duration("retry_max_backoff_micros")?,
        })
    }

    fn parent(&self) -> Result<Option<Parent>> {
        let Some(run) = self.id_if("parent_run")? else { return Ok(None) };
        Ok(Some(Parent {
            run: RunId::new(run),
            key: self.journal_key("parent_key")?,
            detached: self.flag("detached")?,
        }))
    }

    pub(super) fn duration(&self, column: &'static str) -> Result<Duration> {
        self.good(column, documents::duration(self.int(column)?))
    }

    pub(crate) fn ready(&self) -> Result<Ready> {
        let (tenant, run) = self.run_ref()?;
        let lane = self.id("lane")?;
        Ok(Ready {
            tenant,
            run,
            lane: (!lane.is_nil()).then(|| AgentId::new(lane)),
            priority: self.good("rank", i32::try_from(-self.int("rank")?))?,
            ready_at: self.time("ready_at")?,
        })
    }
}
