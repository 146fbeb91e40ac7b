//! Everything that a store holds, read through the contract.

use std::collections::HashMap;

use tenure_core::agent::{Agent, Alias, Artifact, Tenant, Version};
use tenure_core::allowance::Standing;
use tenure_core::queue::Ready;
use tenure_core::run::InboxItem;
use tenure_core::{AgentId, Entry, Interrupt, RunId, TenantId, Timestamp};
use tenure_store::{FullRun, InterruptFilter, RunFilter, Store};

use crate::world::name;

/// The pools that runs wait in.
pub(super) const POOLS: [&str; 2] = ["default", "gpu"];
/// The concurrency keys that they share.
pub(super) const KEYS: [&str; 2] = ["k", "é"];

/// Everything that a store holds, by table.
#[derive(Clone)]
pub(super) struct Contents {
    tenants: Vec<Tenant>,
    standings: Vec<(Timestamp, Vec<Standing>)>,
    agents: Vec<Agent>,
    versions: Vec<Version>,
    aliases: Vec<Alias>,
    runs: Vec<FullRun>,
    ready: Vec<Ready>,
    turns: Vec<Option<RunId>>,
    polls: Vec<Option<Timestamp>>,
    running: Vec<u64>,
    journal: Vec<Entry>,
    inbox: Vec<InboxItem>,
    interrupts: Vec<Interrupt>,
    artifacts: Vec<Artifact>,
}

impl Contents {
    pub(super) fn assert_equal(&self, model: &Self, what: &str) {
        assert_eq!(self.tenants, model.tenants, "{what}");
        assert_eq!(self.standings, model.standings, "{what}");
        assert_eq!(self.agents, model.agents, "{what}");
        assert_eq!(self.versions, model.versions, "{what}");
        assert_eq!(self.aliases, model.aliases, "{what}");
        assert_eq!(self.runs, model.runs, "{what}");
        assert_eq!(self.ready, model.ready, "{what}");
        assert_eq!(self.turns, model.turns, "{what}");
        assert_eq!(self.polls, model.polls, "{what}");
        assert_eq!(self.running, model.running, "{what}");
        assert_eq!(self.journal, model.journal, "{what}");
        assert_eq!(self.inbox, model.inbox, "{what}");
        assert_eq!(self.interrupts, model.interrupts, "{what}");
        assert_eq!(self.artifacts, model.artifacts, "{what}");
    }
}

/// What was read of a store before, and need not be read again until it changes.
#[derive(Clone, Default)]
pub(super) struct Seen {
    /// The revision of each run when its records were read.
    runs: HashMap<(TenantId, RunId), u64>,
    /// How often an agent was looked at: its versions and aliases, which seldom change, are read
    /// now and then.
    agents: HashMap<AgentId, u32>,
}

/// What the store holds, but for the records of runs that have not changed since they were seen.
pub(super) async fn of(store: &dyn Store, seen: &mut Seen) -> Contents {
    let mut contents = Contents {
        tenants: store.list_tenants(None, 999).await.unwrap(),
        standings: Vec::new(),
        agents: Vec::new(),
        versions: Vec::new(),
        aliases: Vec::new(),
        runs: Vec::new(),
        ready: Vec::new(),
        turns: Vec::new(),
        polls: Vec::new(),
        running: Vec::new(),
        journal: Vec::new(),
        inbox: Vec::new(),
        interrupts: Vec::new(),
        artifacts: Vec::new(),
    };
    for tenant in contents.tenants.iter().map(|tenant| tenant.id).collect::<Vec<_>>() {
        contents.standings.push(store.list_standings(tenant).await.unwrap());
        contents.add_agents(store, tenant, seen).await;
        contents.add_runs(store, tenant, seen).await;
        contents.add_interrupts(store, tenant).await;
        contents.add_queue(store, tenant).await;
    }
    contents
}

impl Contents {
    async fn add_agents(&mut self, store: &dyn Store, tenant: TenantId, seen: &mut Seen) {
        for agent in store.list_agents(tenant, None, 999).await.unwrap() {
            let looks = seen.agents.entry(agent.id).or_default();
            *looks += 1;
            if *looks % 16 == 1 {
                let versions = store.list_versions(tenant, agent.id, None, 999).await.unwrap();
                self.versions.extend(versions);
                self.aliases.extend(store.list_aliases(tenant, agent.id).await.unwrap());
            }
            self.agents.push(agent);
        }
    }

    async fn add_runs(&mut self, store: &dyn Store, tenant: TenantId, seen: &mut Seen) {
        for run in store.list_runs(tenant, &RunFilter::default(), None, 999).await.unwrap() {
            let (id, revision) = (run.run.id, run.run.revision);
            self.runs.push(run);
            if seen.runs.insert((tenant, id), revision) != Some(revision) {
                self.add_records(store, tenant, id).await;
            }
        }
    }

    async fn add_records(&mut self, store: &dyn Store, tenant: TenantId, run: RunId) {
        self.runs.extend(store.find_run(tenant, run).await.unwrap());
        self.journal.extend(store.read_journal(tenant, run, 0, 999, usize::MAX).await.unwrap());
        self.inbox.extend(store.read_inbox(tenant, run, 0, 999).await.unwrap());
        for row in store.list_artifacts(tenant, run).await.unwrap() {
            let found = store.find_artifact(tenant, run, &row.artifact.name).await.unwrap();
            self.artifacts.extend(found);
        }
    }

    async fn add_interrupts(&mut self, store: &dyn Store, tenant: TenantId) {
        let all = InterruptFilter { all: true, ..InterruptFilter::default() };
        self.interrupts.extend(store.list_interrupts(tenant, &all, None, 999).await.unwrap());
    }

    async fn add_queue(&mut self, store: &dyn Store, tenant: TenantId) {
        let places = POOLS.map(|pool| (tenant, name(pool)));
        let mut tx = store.begin().await.unwrap();
        self.ready.extend(tx.find_ready(&places, 999).await.unwrap());
        tx.commit().await.unwrap();
        for (_, pool) in &places {
            self.polls.push(store.polled_at(tenant, pool).await.unwrap());
        }
        for key in KEYS {
            self.turns.push(store.find_turn(tenant, key).await.unwrap());
        }
        self.running.push(store.count_running((tenant, None)).await.unwrap());
    }
}
