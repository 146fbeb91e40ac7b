//! What is read: the columns that both databases have, put together into core values.
//!
//! Bad data is [`StoreError::Corrupt`] and names its table, column and row; it is never a panic and
//! never silently something else.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tenure_core::agent::{Agent, Alias, AliasTarget, Artifact, Tenant, Version};
use tenure_core::run::{CancelRequest, InboxItem, RunState, StateName, WaitReason};
use tenure_core::{
    AgentId, ArtifactId, Digest, Entry, EntryKind, EntryStatus, Failure, Lease, LeaseId, Name,
    Payload, Record, Run, RunId, TenantId, Timestamp, Usage, WorkerId,
};
use uuid::Uuid;

use crate::{ArtifactRow, FullRun, Result, RunKey, StoreError};

/// A row of one of the databases, read by the names of its columns.
pub(crate) trait Columns {
    fn id(&self, column: &str) -> sqlx::Result<Option<Uuid>>;
    fn int(&self, column: &str) -> sqlx::Result<Option<i64>>;
    fn flag(&self, column: &str) -> sqlx::Result<Option<bool>>;
    fn text(&self, column: &str) -> sqlx::Result<Option<String>>;
    fn bytes(&self, column: &str) -> sqlx::Result<Option<Vec<u8>>>;
    fn time(&self, column: &str) -> sqlx::Result<Option<Timestamp>>;
}

/// A row together with its table, for the errors.
pub(crate) struct Reader<'r, R> {
    row: &'r R,
    table: &'static str,
}

impl<'r, R: Columns> Reader<'r, R> {
    pub(crate) fn new(table: &'static str, row: &'r R) -> Self {
        Self { row, table }
    }

    pub(crate) fn tenant(&self) -> Result<Tenant> {
        Ok(Tenant {
            id: TenantId::new(self.id("tenant_id")?),
            name: self.name("name")?,
            created_at: self.time("created_at")?,
        })
    }

    pub(crate) fn agent(&self) -> Result<Agent> {
        Ok(Agent {
            id: AgentId::new(self.id("agent_id")?),
            tenant: TenantId::new(self.id("tenant_id")?),
            name: self.name("name")?,
            latest: self.small("latest")?,
            created_at: self.time("created_at")?,
        })
    }

    pub(crate) fn version(&self) -> Result<Version> {
        Ok(Version {
            agent: AgentId::new(self.id("agent_id")?),
            number: self.small("number")?,
            digest: self.digest("digest")?,
            pool: self.name("pool")?,
            spec: self.bytes("spec")?.into(),
            created_at: self.time("created_at")?,
        })
    }

    pub(crate) fn alias(&self) -> Result<Alias> {
        #[derive(Deserialize)]
        struct Target {
            version: u32,
            weight: u32,
        }
        let targets: Vec<Target> = self.json("targets")?;
        let targets = targets
            .into_iter()
            .map(|target| AliasTarget { version: target.version, weight: target.weight })
            .collect();
        let agent = AgentId::new(self.id("agent_id")?);
        self.good("targets", Alias::new(agent, self.name("name")?, targets))
    }

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
            cancel: self.cancel()?,
            attempts: self.small("attempts")?,
            max_attempts: self.small("max_attempts")?,
            stalled: self.small("stalled")?,
            offers: self.small("offers")?,
            usage: self.usage(String::new())?,
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
            input: self.payload(["input_type", "input_encoding", "input"])?,
            labels: self.json::<BTreeMap<_, _>>("labels")?,
        })
    }

    /// The run, for a sweep over the rows of all tenants: one that is damaged must not keep the
    /// others from being found, so it is passed over, loudly.
    pub(crate) fn run_if_readable(&self) -> Option<Run> {
        self.run().inspect_err(|error| tracing::error!(%error, "passing over a run")).ok()
    }

    fn state(&self, epoch: u64) -> Result<RunState> {
        let word = self.text("state")?;
        let state = StateName::parse(&word)
            .ok_or_else(|| self.corrupt("state", format!("`{word}` is no state")))?;
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
            StateName::Cancelled => RunState::Cancelled {
                reason: self.text("cancel_reason")?,
                at: self.time("ended_at")?,
            },
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
        match &*self.text("wait_reason")? {
            "inbox" => Ok(WaitReason::Inbox { until: self.time_if("ready_at")? }),
            "blocked" => Ok(WaitReason::Blocked(self.failure()?)),
            word => Err(self.corrupt("wait_reason", format!("`{word}` is no reason"))),
        }
    }

    fn cancel(&self) -> Result<Option<CancelRequest>> {
        match self.time_if("cancel_force_at")? {
            None => Ok(None),
            Some(force_at) => {
                Ok(Some(CancelRequest { reason: self.text("cancel_reason")?, force_at }))
            }
        }
    }

    fn failure(&self) -> Result<Failure> {
        Ok(Failure {
            code: self.text("failure_code")?,
            message: self.text("failure_message")?,
            retryable: self.flag("failure_retryable")?,
        })
    }

    fn usage(&self, model: String) -> Result<Usage> {
        Ok(Usage {
            model,
            input_tokens: self.count("input_tokens")?,
            output_tokens: self.count("output_tokens")?,
            cached_tokens: self.count("cached_tokens")?,
            reasoning_tokens: self.count("reasoning_tokens")?,
            cost_micros: self.count("cost_micros")?,
        })
    }

    fn payload(&self, [content_type, encoding, data]: [&'static str; 3]) -> Result<Payload> {
        Ok(Payload {
            content_type: self.text(content_type)?,
            encoding: self.text(encoding)?,
            data: self.bytes(data)?.into(),
        })
    }

    pub(crate) fn entry(&self) -> Result<Entry> {
        let (key, kind) = (self.text("key")?, self.text("kind")?);
        let record = Record {
            key: self.good("key", key.parse())?,
            kind: EntryKind::parse(&kind)
                .ok_or_else(|| self.corrupt("kind", format!("`{kind}` is no kind")))?,
            status: self.entry_status()?,
            input: self.digest_if("input")?,
            attempt: self.small("attempt")?,
            duration: Duration::from_micros(self.count("duration_micros")?),
            usage: self.text_if("model")?.map(|model| self.usage(model)).transpose()?,
        };
        let (seq, epoch) = (self.count("seq")?, self.count("epoch")?);
        Ok(Entry { seq, epoch, at: self.time("at")?, record })
    }

    fn entry_status(&self) -> Result<EntryStatus> {
        match &*self.text("status")? {
            "succeeded" => {
                let payload = self.payload(["content_type", "encoding", "payload"])?;
                Ok(EntryStatus::Succeeded(payload))
            }
            "failed" => Ok(EntryStatus::Failed(self.failure()?)),
            word => Err(self.corrupt("status", format!("`{word}` is no status"))),
        }
    }

    pub(crate) fn inbox_item(&self) -> Result<InboxItem> {
        Ok(InboxItem {
            number: self.count("number")?,
            source: self.text("source")?,
            name: self.name("name")?,
            payload: self.payload(["content_type", "encoding", "payload"])?,
            at: self.time("at")?,
        })
    }

    pub(crate) fn run_key(&self) -> Result<RunKey> {
        Ok(RunKey {
            tenant: TenantId::new(self.id("tenant_id")?),
            key: self.text("key")?,
            digest: self.digest("digest")?,
            run: RunId::new(self.id("run_id")?),
        })
    }

    pub(crate) fn artifact(&self) -> Result<Artifact> {
        let data = self.bytes("payload")?.into();
        Ok(Artifact { data, ..self.artifact_row()?.artifact })
    }

    pub(crate) fn artifact_row(&self) -> Result<ArtifactRow> {
        let artifact = Artifact {
            id: ArtifactId::new(self.id("artifact_id")?),
            run: RunId::new(self.id("run_id")?),
            name: self.text("name")?,
            content_type: self.text("content_type")?,
            digest: self.digest("digest")?,
            data: bytes::Bytes::new(),
            created_at: self.time("created_at")?,
        };
        Ok(ArtifactRow { artifact, size: self.count("size")? })
    }

    pub(crate) fn id(&self, column: &'static str) -> Result<Uuid> {
        self.needed(column, self.row.id(column))
    }

    pub(crate) fn time(&self, column: &'static str) -> Result<Timestamp> {
        self.needed(column, self.row.time(column))
    }

    fn time_if(&self, column: &'static str) -> Result<Option<Timestamp>> {
        self.good(column, self.row.time(column))
    }

    pub(crate) fn text(&self, column: &'static str) -> Result<String> {
        self.needed(column, self.row.text(column))
    }

    fn text_if(&self, column: &'static str) -> Result<Option<String>> {
        self.good(column, self.row.text(column))
    }

    fn bytes(&self, column: &'static str) -> Result<Vec<u8>> {
        self.needed(column, self.row.bytes(column))
    }

    fn flag(&self, column: &'static str) -> Result<bool> {
        self.needed(column, self.row.flag(column))
    }

    fn count(&self, column: &'static str) -> Result<u64> {
        let number = self.needed(column, self.row.int(column))?;
        self.good(column, u64::try_from(number))
    }

    fn small(&self, column: &'static str) -> Result<u32> {
        let number = self.needed(column, self.row.int(column))?;
        self.good(column, u32::try_from(number))
    }

    fn name(&self, column: &'static str) -> Result<Name> {
        self.good(column, self.text(column)?.parse())
    }

    fn digest(&self, column: &'static str) -> Result<Digest> {
        self.good(column, Digest::try_from(&*self.bytes(column)?))
    }

    fn digest_if(&self, column: &'static str) -> Result<Option<Digest>> {
        let bytes = self.good(column, self.row.bytes(column))?;
        bytes.map(|bytes| self.good(column, Digest::try_from(&*bytes))).transpose()
    }

    fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T> {
        self.good(column, serde_json::from_str(&self.text(column)?))
    }

    fn needed<T>(&self, column: &'static str, value: sqlx::Result<Option<T>>) -> Result<T> {
        self.good(column, value)?.ok_or_else(|| self.corrupt(column, "it is null"))
    }

    fn good<T, E: ToString>(&self, column: &'static str, value: Result<T, E>) -> Result<T> {
        value.map_err(|error| self.corrupt(column, error.to_string()))
    }

    fn corrupt(&self, column: &'static str, problem: impl Into<String>) -> StoreError {
        let (row, problem) = (self.key(), problem.into());
        StoreError::Corrupt { table: self.table, column, row, problem }
    }

    /// The row's key, from those of the usual columns that it has.
    fn key(&self) -> String {
        let ids = ["tenant_id", "agent_id", "run_id"]
            .map(|column| self.row.id(column).ok().flatten().map(|id| format!("{column} {id}")));
        let numbers = ["number", "seq"].map(|column| {
            self.row.int(column).ok().flatten().map(|number| format!("{column} {number}"))
        });
        ids.into_iter().chain(numbers).flatten().collect::<Vec<_>>().join(", ")
    }
}
