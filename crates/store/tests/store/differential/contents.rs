//! Everything that a store holds, read through the contract.

use tenure_core::agent::{Agent, Alias, Artifact, Tenant, Version};
use tenure_core::run::InboxItem;
use tenure_core::{Entry, Run, TenantId};
use tenure_store::{FullRun, RunFilter, Store};

use crate::world::name;

/// The pools that runs wait in.
pub(super) const POOLS: [&str; 2] = ["default", "gpu"];

/// Everything that a store holds, by table.
pub(super) struct Contents {
    tenants: Vec<Tenant>,
    agents: Vec<Agent>,
    versions: Vec<Version>,
    aliases: Vec<Alias>,
    runs: Vec<FullRun>,
    ready: Vec<Run>,
    journal: Vec<Entry>,
    inbox: Vec<InboxItem>,
    artifacts: Vec<Artifact>,
}

impl Contents {
    pub(super) fn assert_equal(&self, model: &Self, what: &str) {
        assert_eq!(self.tenants, model.tenants, "{what}");
        assert_eq!(self.agents, model.agents, "{what}");
        assert_eq!(self.versions, model.versions, "{what}");
        assert_eq!(self.aliases, model.aliases, "{what}");
        assert_eq!(self.runs, model.runs, "{what}");
        assert_eq!(self.ready, model.ready, "{what}");
        assert_eq!(self.journal, model.journal, "{what}");
        assert_eq!(self.inbox, model.inbox, "{what}");
        assert_eq!(self.artifacts, model.artifacts, "{what}");
    }
}

pub(super) async fn of(store: &dyn Store) -> Contents {
    let mut contents = Contents {
        tenants: store.list_tenants(None, 999).await.unwrap(),
        agents: Vec::new(),
        versions: Vec::new(),
        aliases: Vec::new(),
        runs: Vec::new(),
        ready: Vec::new(),
        journal: Vec::new(),
        inbox: Vec::new(),
        artifacts: Vec::new(),
    };
    for tenant in contents.tenants.iter().map(|tenant| tenant.id).collect::<Vec<_>>() {
        contents.add_agents(store, tenant).await;
        contents.add_runs(store, tenant).await;
    }
    contents.add_ready(store).await;
    contents
}

impl Contents {
    async fn add_agents(&mut self, store: &dyn Store, tenant: TenantId) {
        for agent in store.list_agents(tenant, None, 999).await.unwrap() {
            self.versions.extend(store.list_versions(tenant, agent.id, None, 999).await.unwrap());
            self.aliases.extend(store.list_aliases(tenant, agent.id).await.unwrap());
            self.agents.push(agent);
        }
    }

    async fn add_runs(&mut self, store: &dyn Store, tenant: TenantId) {
        for run in store.list_runs(tenant, &RunFilter::default(), None, 999).await.unwrap() {
            let id = run.run.id;
            self.runs.extend(store.find_run(tenant, id).await.unwrap());
            self.journal.extend(store.read_journal(tenant, id, 0, 999, usize::MAX).await.unwrap());
            self.inbox.extend(store.read_inbox(tenant, id, 0, 999).await.unwrap());
            for row in store.list_artifacts(tenant, id).await.unwrap() {
                let found = store.find_artifact(tenant, id, &row.artifact.name).await.unwrap();
                self.artifacts.extend(found);
            }
        }
    }

    /// The queue has no list: it is locked and let go.
    async fn add_ready(&mut self, store: &dyn Store) {
        let pools = POOLS.map(name);
        let mut tx = store.begin().await.unwrap();
        for tenant in &self.tenants {
            self.ready.extend(tx.lock_ready(tenant.id, &pools, 999).await.unwrap().1);
        }
        tx.commit().await.unwrap();
    }
}
