//! The inbox of people: get, list.

use std::time::Duration;

use tenure_core::{Error, Interrupt, InterruptId, Name, Result, RunId, TenantId, Timestamp};
use tenure_store::InterruptFilter;

use super::Service;

/// An interrupt with the name of the agent whose run asks.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The interrupt.
    pub interrupt: Interrupt,
    /// The agent's name.
    pub agent: Name,
}

/// Which interrupts a caller wants to see.
#[derive(Clone, Debug, Default)]
pub struct InboxFilter {
    /// Those that have ended as well.
    pub all: bool,
    /// Only those of this agent's runs.
    pub agent: Option<Name>,
    /// Only those of this run.
    pub run: Option<RunId>,
    /// Only those that are assigned so.
    pub assignee: Option<String>,
    /// Only those that have been open for at least this long.
    pub min_age: Duration,
}

impl Service {
    /// One interrupt.
    pub async fn get_interrupt(&self, tenant: &Name, id: InterruptId) -> Result<Asked> {
        let tenant = self.tenant_id(tenant).await?;
        let interrupt = self.interrupt(tenant, id).await?;
        self.asked(interrupt).await
    }

    /// Up to `limit` interrupts that pass the filter, the oldest first, behind `after`.
    pub async fn list_interrupts(
        &self,
        tenant: &Name,
        filter: InboxFilter,
        after: Option<(Timestamp, InterruptId)>,
        limit: usize,
    ) -> Result<Vec<Asked>> {
        let tenant = self.tenant_id(tenant).await?;
        let agent = match &filter.agent {
            Some(name) => Some(self.agent(tenant, name).await?.id),
            None => None,
        };
        let opened_before = match filter.min_age {
            Duration::ZERO => None,
            age => Some(self.store.now().await? - age),
        };
        let InboxFilter { all, run, assignee, .. } = filter;
        let filter = InterruptFilter { all, agent, run, assignee, opened_before };
        let found = self.store.list_interrupts(tenant, &filter, after, limit).await?;
        let mut asked = Vec::with_capacity(found.len());
        for interrupt in found {
            asked.push(self.asked(interrupt).await?);
        }
        Ok(asked)
    }

    pub(super) async fn interrupt(&self, tenant: TenantId, id: InterruptId) -> Result<Interrupt> {
        let found = self.store.find_interrupt(tenant, id).await?;
        found.ok_or_else(|| Error::not_found(format!("there is no interrupt {id}")))
    }

    pub(super) async fn asked(&self, interrupt: Interrupt) -> Result<Asked> {
        let agent = self.agent_name(interrupt.tenant, interrupt.agent).await?;
        Ok(Asked { interrupt, agent })
    }
}
