//! A store with a tenant, an agent and a version in it, and the moves that tests make.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tenure_core::agent::{Agent, Tenant, Version};
use tenure_core::run::{Commit, Committed, NewRun, Outcome, RetryPolicy};
use tenure_core::{
    AgentId, Call, Decision, Digest, EntryKind, EntryStatus, LeaseId, Name, Opening, Payload,
    Question, QuestionKind, Record, Run, RunId, Steering, TenantId, Timestamp, Transition, Usage,
    WorkerId, queue,
};
use tenure_store::{Locked, Store, Tx};
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
    let (id, name) = (TenantId::new(id), name(text));
    Tenant { id, name, max_running: None, policy: None, metered: false, created_at: START }
}

pub(crate) fn agent(tenant: TenantId, id: Uuid, text: &str) -> Agent {
    let (id, name) = (AgentId::new(id), name(text));
    Agent { id, tenant, name, latest: 0, max_running: None, created_at: START }
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

/// A question with all that one can have.
pub(crate) fn question() -> Question {
    Question {
        kind: QuestionKind::Approval,
        title: "Send “it”?".into(),
        payload: Payload::json("{\"to\": \"ann\"}"),
        schema: "{\"type\": \"object\"}".into(),
        decisions: vec![Decision::Reject, Decision::Approve, Decision::Edit],
        assignee: "editors".into(),
        timeout: Some(Duration::from_mins(1)),
        default: Some(Decision::Reject),
    }
}

/// A record that asks something.
pub(crate) fn asks(key: &str, question: Question) -> Record {
    let opening = Opening::Interrupt(Box::new(question));
    Record { kind: EntryKind::Wait, ..record(key, EntryStatus::Opened(opening)) }
}

/// A record that calls another run.
pub(crate) fn calls(key: &str, detached: bool) -> Record {
    let (agent, version) = (name("writer"), String::new());
    let call = Call {
        agent,
        version,
        input: Payload::json("\"go\""),
        detached,
        budget: tenure_core::Budget::default(),
    };
    let opened = EntryStatus::Opened(Opening::Child(Box::new(call)));
    Record { kind: EntryKind::Child, ..record(key, opened) }
}

pub(crate) fn usage(model: &str, tokens: u64) -> Usage {
    Usage {
        model: model.into(),
        input_tokens: tokens,
        output_tokens: tokens + 1,
        cached_tokens: tokens + 2,
        reasoning_tokens: tokens + 3,
        cost_micros: tokens + 4,
        unpriced: tokens % 2 == 1,
        tool_calls: tokens,
    }
}

/// Somebody, for a reason.
pub(crate) fn ann(reason: &str) -> Steering {
    Steering::new("ann@example.com", reason)
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

    /// What a run is made of, to change a part of.
    pub(crate) fn given(&mut self, pool: &str) -> NewRun {
        NewRun {
            id: RunId::new(self.id()),
            tenant: self.tenant,
            agent: self.agent,
            version: 1,
            pool: name(pool),
            input: Payload::json("{\"topic\": \"tides\"}"),
            labels: BTreeMap::from([("team".into(), "réd \"1\"".into())]),
            start_after: Duration::ZERO,
            max_attempts: Some(3),
            retry: RetryPolicy::default(),
            priority: 0,
            timeout: None,
            concurrency: None,
            parent: None,
            depth: 0,
            entries: 0,
            check: None,
            budget: tenure_core::Budget::default(),
        }
    }

    /// A transition that creates a run.
    pub(crate) fn new_run(&mut self, pool: &str, now: Timestamp) -> Transition {
        Run::create(self.given(pool), true, now).unwrap()
    }

    /// A run made of this, saved.
    pub(crate) async fn create_of(&mut self, new: NewRun, turn: bool) -> Run {
        let now = self.store.now().await.unwrap();
        let created = Run::create(new, turn, now).unwrap();
        self.save(std::slice::from_ref(&created)).await;
        created.run
    }

    /// A run in the default pool, ready now.
    pub(crate) async fn create(&mut self) -> Run {
        let new = self.given("default");
        self.create_of(new, true).await
    }

    /// A run that somebody has leased and started.
    pub(crate) async fn create_leased(&mut self) -> Run {
        let run = self.create().await;
        self.start(&run).await
    }

    /// Leases a run and starts it.
    pub(crate) async fn start(&mut self, run: &Run) -> Run {
        let (lease, worker) = (LeaseId::new(self.id()), WorkerId::new(self.id()));
        self.act(run, |run, now| {
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

    /// What is next in these pools, without claiming it.
    pub(crate) async fn ready(&self, pools: &[&str], limit: usize) -> Vec<RunId> {
        let places: Vec<_> = pools.iter().map(|pool| (self.tenant, name(pool))).collect();
        let mut tx = self.store.begin().await.unwrap();
        let (_, runs) = next(&mut tx, &places, limit).await;
        // Committed, so that the locks have gone when this returns.
        tx.commit().await.unwrap();
        runs.iter().map(|run| run.id).collect()
    }
}

/// Finds what is next within the caps, and locks it, as a claim does.
pub(crate) async fn next(
    tx: &mut Box<dyn Tx>,
    places: &[(TenantId, Name)],
    limit: usize,
) -> (Timestamp, Vec<Run>) {
    let ready = tx.find_ready(places, limit).await.unwrap();
    let caps = tx.lock_caps(&queue::capped(&ready)).await.unwrap();
    tx.lock_ready(&queue::choose(ready, &caps, limit, 0)).await.unwrap()
}
