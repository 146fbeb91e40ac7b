//! Allowances: what the runs of a tenant or agent may use together; and reserving what a call of a
//! model may come to.

use tenure_core::allowance::{
    self, Allowance, Bound, Estimate, HOLD, Hold, Period, Refusal, Standing,
};
use tenure_core::{
    AgentId, Budget, Error, Key, LeaseId, Name, Result, Run, RunId, TenantId, Timestamp, text,
};

use super::Service;

/// An allowance with the name of its agent.
pub type Named = (Option<Name>, Standing);

/// What a worker wants to reserve for a step of a run that it has leased.
#[derive(Clone, Debug)]
pub struct Reserve {
    /// The run.
    pub run: RunId,
    /// Its lease.
    pub lease: LeaseId,
    /// The step.
    pub key: Key,
    /// What it may come to.
    pub estimate: Estimate,
}

/// Why nothing was reserved.
#[derive(Clone, Debug)]
pub struct Spent {
    /// What is used up and what to do, for people.
    pub message: String,
    /// The rest.
    pub refusal: Refusal,
}

impl Service {
    /// Sets the allowance of a tenant, or of one of its agents, for a period, or removes it if it bounds
    /// nothing; how it stands, and the time.
    pub async fn set_allowance(
        &self,
        tenant: &Name,
        agent: Option<&Name>,
        period: Period,
        budget: Budget,
    ) -> Result<(Timestamp, Option<Named>)> {
        let id = self.tenant_id(tenant).await?;
        let of = match agent {
            Some(agent) => Some(self.agent(id, agent).await?.id),
            None => None,
        };
        let mut tx = self.store.begin().await?;
        tx.set_allowance(&Allowance { tenant: id, agent: of, period, budget }).await?;
        tx.commit().await?;
        let (now, standings) = self.list_allowances(tenant).await?;
        let is_it = |(_, standing): &Named| {
            (standing.allowance.agent, standing.allowance.period) == (of, period)
        };
        Ok((now, standings.into_iter().find(is_it)))
    }

    /// The allowances of a tenant with how they stand, and the time.
    pub async fn list_allowances(&self, tenant: &Name) -> Result<(Timestamp, Vec<Named>)> {
        let id = self.tenant_id(tenant).await?;
        let (now, standings) = self.store.list_standings(id).await?;
        let mut named = Vec::with_capacity(standings.len());
        for standing in standings {
            named.push((self.owner(id, standing.allowance.agent).await?, standing));
        }
        Ok((now, named))
    }

    async fn owner(&self, tenant: TenantId, agent: Option<AgentId>) -> Result<Option<Name>> {
        match agent {
            Some(agent) => self.agent_name(tenant, agent).await.map(Some),
            None => Ok(None),
        }
    }

    /// Reserves what a call of a model may come to; or says what has no room for it.
    pub async fn reserve(&self, tenant: &Name, reserve: Reserve) -> Result<Option<Spent>> {
        let Reserve { run, lease, key, estimate } = reserve;
        let tenant = self.tenant_id(tenant).await?;
        let agent = self.leased_agent(tenant, run, lease).await?;
        let mut tx = self.store.begin().await?;
        let (now, standings) = tx.lock_allowances(tenant, agent).await?;
        if let Err(refusal) = allowance::admit(&standings, estimate, now) {
            let owner = self.owner(tenant, refusal.allowance.agent).await?;
            let message = told(owner.as_ref(), &refusal);
            return Ok(Some(Spent { message, refusal: *refusal }));
        }
        if !standings.is_empty() {
            let until = now + HOLD;
            tx.hold(&Hold { tenant, run, agent, key, estimate, until }, now).await?;
            tx.commit().await?;
        }
        Ok(None)
    }

    /// The agent of a run that is leased so.
    async fn leased_agent(&self, tenant: TenantId, run: RunId, lease: LeaseId) -> Result<AgentId> {
        let holds = |run: &Run| run.lease_held().is_some_and(|held| held.id == lease);
        if let Some(known) = self.memory.get((tenant, run)).filter(|run| holds(run)) {
            return Ok(known.agent);
        }
        let found = self.full_run(tenant, run).await?.run;
        if holds(&found) {
            return Ok(found.agent);
        }
        Err(Error::lease_lost(format!("another worker has {run}, or it has ended")))
    }
}

/// A refusal in words.
fn told(owner: Option<&Name>, refusal: &Refusal) -> String {
    let Refusal { allowance, bound, used, held, next, allowed, renews_at } = refusal;
    let whose = owner.map_or("the tenant".into(), |agent| format!("agent `{agent}`"));
    let period = allowance.period;
    if *bound == Bound::UnknownCost {
        return format!(
            "{whose} has an allowance of money for each {period}, and the price of the model is not \
             known: start the worker with a table that has it (`--prices`)"
        );
    }
    let amount = |amount: u64| match bound {
        Bound::Cost | Bound::UnknownCost => text::dollars(amount),
        Bound::Tokens => format!("{amount} tokens"),
        Bound::ToolCalls => format!("{amount} calls of tools"),
    };
    let some = |taken: u64, how: &str| (taken > 0).then(|| format!("{}{how}", amount(taken)));
    let taken = [
        Some(format!("{} used", amount(*used))),
        some(*held, " reserved"),
        some(*next, " more for this call"),
    ];
    let taken = taken.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let (allowed, day) = (amount(*allowed), renews_at.to_string());
    let day = day.split('T').next().unwrap_or_default();
    format!(
        "{whose} may use {allowed} in a {period}: {taken}; the next {period} begins on {day} (UTC), \
         or raise it with `tenure allowances set`"
    )
}
