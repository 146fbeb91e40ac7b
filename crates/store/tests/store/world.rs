//! A store with a tenant, an agent and a version in it, and the moves that tests make.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tenure_core::agent::{Agent, Tenant, Version};
use tenure_core::run::{Commit, Committed, NewRun, Outcome};
use tenure_core::{
    AgentId, Digest, EntryKind, EntryStatus, LeaseId, Name, Payload, Record, Run, RunId, TenantId,
    Timestamp, Transition, Usage, WorkerId,
};
use tenure_store::{Locked, Store};
use uuid::Uuid;

/// When every test begins.
pub(crate) const START: Timestamp = Timestamp::from_micros(1_900_000_000_000_001);
pub(crate) const TTL: Duration = Duration::from_secs(30);

/// A store and what the tests need to know of it.
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) tenant: TenantId,
    pub(crate) agent: AgentId,
    random: fastrand::Rng,
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn tenant(id: Uuid, text: &str) -> Tenant {
    Tenant { id: TenantId::new(id), name: name(text), created_at: START }
}

pub(crate) fn agent(tenant: TenantId, id: Uuid, text: &str) -> Agent {
    Agent { id: AgentId::new(id), tenant, name: name(text), latest: 0, created_at: START }
}

pub(crate) fn version(agent: AgentId, number: u32, spec: &str) -> Version {
    let spec = Bytes::copy_from_slice(spec.as_bytes());
    let digest = Digest::of(&spec);
    Version { agent, number, digest, pool: name("default"), spec, created_at: START }
}

pub(crate) fn record(key: &str, status: EntryStatus) -> Record {
    Record {
        key: key.parse().unwrap(),
        kind: EntryKind::Step,
        status,
        input: Some(Digest::of(key)),
        attempt: 2,
        duration: Duration::from_micros(1_234_567),
        usage: None,
    }
}

pub(crate) fn usage(model: &str, tokens: u64) -> Usage {
    Usage {
        model: model.into(),
        input_tokens: tokens,
        output_tokens: tokens + 1,
        cached_tokens: tokens + 2,
        reasoning_tokens: tokens + 3,
        cost_micros: tokens + 4,
    }
}

/// The commit of a run's current owner.
pub(crate) fn commit(run: &Run, records: Vec<Record>, outcome: Option<Outcome>) -> Commit {
    let lease = run.lease_held().expect("a leased run").id;
    let digest = Digest::of(format!("{lease} {} {records:?} {outcome:?}", run.next_seq));
    Commit { lease, expected_seq: run.next_seq, records, outcome, digest }
}

pub(crate) fn applied(committed: Committed) -> Transition {
    match committed {
        Committed::Applied(transition) => *transition,
        Committed::Repeated => panic!("the commit is a repetition"),
    }
}

impl World {
    /// Puts a tenant, an agent and its version 1 into an empty store whose clock stands still.
    pub(crate) async fn new(store: Arc<dyn Store>) -> Self {
        store.set_clock(Some(START)).await.unwrap();
        let mut random = fastrand::Rng::with_seed(7);
        let tenant = tenant(Uuid::from_u128(random.u128(..)), "acme");
        let agent = agent(tenant.id, Uuid::from_u128(random.u128(..)), "writer");
        let mut tx = store.begin().await.unwrap();
        assert!(tx.insert_tenant(&tenant).await.unwrap());
        assert!(tx.insert_agent(&agent).await.unwrap());
        tx.insert_version(tenant.id, &version(agent.id, 1, "{}")).await.unwrap();
        tx.commit().await.unwrap();
        Self { store, tenant: tenant.id, agent: agent.id, random }
    }

    pub(crate) fn id(&mut self) -> Uuid {
        Uuid::from_u128(self.random.u128(..))
    }

    /// A transition that creates a run.
    pub(crate) fn new_run(&mut self, pool: &str, now: Timestamp) -> Transition {
        let new = NewRun {
            id: RunId::new(self.id()),
            tenant: self.tenant,
            agent: self.agent,
            version: 1,
            pool: name(pool),
            input: Payload::json("{\"topic\": \"tides\"}"),
            labels: BTreeMap::from([("team".into(), "réd \"1\"".into())]),
            start_after: Duration::ZERO,
            max_attempts: Some(3),
        };
        Run::create(new, now).unwrap()
    }

    /// A run in the default pool, ready now.
    pub(crate) async fn create(&mut self) -> Run {
        let now = self.store.now().await.unwrap();
        let created = self.new_run("default", now);
        self.save(std::slice::from_ref(&created)).await;
        created.run
    }

    /// A run that somebody has leased and started.
    pub(crate) async fn create_leased(&mut self) -> Run {
        let run = self.create().await;
        let (lease, worker) = (LeaseId::new(self.id()), WorkerId::new(self.id()));
        self.act(&run, |run, now| {
            let leased = run.lease(lease, worker, now, TTL).unwrap();
            let started = leased.run.beat(lease, now, TTL).unwrap();
            leased.then(started)
        })
        .await
    }

    /// Locks a run, applies what is decided, and commits it.
    pub(crate) async fn act(
        &self,
        run: &Run,
        decide: impl FnOnce(&Run, Timestamp) -> Transition,
    ) -> Run {
        let mut tx = self.store.begin().await.unwrap();
        let (now, locked) = tx.lock_runs(&[(run.tenant, run.id)]).await.unwrap();
        let Locked::Run(run) = &locked[0] else { panic!("{locked:?}") };
        let transition = decide(run, now);
        tx.save(std::slice::from_ref(&transition)).await.unwrap();
        tx.commit().await.unwrap();
        transition.run
    }

    /// A commit of the run's owner.
    pub(crate) async fn commit(
        &self,
        run: &Run,
        records: Vec<Record>,
        outcome: Option<Outcome>,
    ) -> Run {
        let commit = commit(run, records, outcome);
        self.act(run, |run, now| applied(run.commit(commit, now, TTL).unwrap())).await
    }

    pub(crate) async fn save(&self, transitions: &[Transition]) {
        let mut tx = self.store.begin().await.unwrap();
        tx.save(transitions).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// The run as it is stored.
    pub(crate) async fn stored(&self, run: &Run) -> Run {
        self.store.find_run(run.tenant, run.id).await.unwrap().expect("a stored run").run
    }

    /// What is ready in these pools, without claiming it.
    pub(crate) async fn ready(&self, pools: &[&str], limit: usize) -> Vec<RunId> {
        let pools: Vec<_> = pools.iter().map(|pool| name(pool)).collect();
        let mut tx = self.store.begin().await.unwrap();
        let (_, runs) = tx.lock_ready(self.tenant, &pools, limit).await.unwrap();
        // Committed, so that the locks have gone when this returns.
        tx.commit().await.unwrap();
        runs.iter().map(|run| run.id).collect()
    }
}
