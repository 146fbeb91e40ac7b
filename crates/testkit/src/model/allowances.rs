//! What the model knows of allowances.

use tenure_core::agent::Tenant;
use tenure_core::allowance::{Allowance, Day, Estimate, Hold, Standing};
use tenure_core::{AgentId, Entry, EntryKind, Run, TenantId, Timestamp, Usage};

use super::state::State;

impl State {
    pub(super) fn metered(&self, tenant: &Tenant) -> Tenant {
        let metered = self.allowances.keys().any(|(of, ..)| *of == tenant.id);
        Tenant { metered, ..tenant.clone() }
    }

    pub(super) fn set_allowance(&mut self, allowance: &Allowance) -> bool {
        let Allowance { tenant, agent, period, budget } = *allowance;
        if budget.is_unlimited() {
            return self.allowances.remove(&(tenant, agent, period)).is_some();
        }
        self.allowances.insert((tenant, agent, period), budget);
        true
    }

    pub(super) fn standings(&self, tenant: TenantId) -> Vec<Standing> {
        let own = self.allowances.iter().filter(|((of, ..), _)| *of == tenant);
        own.map(|(&(tenant, agent, period), &budget)| {
            let first = period.first_day(self.now);
            Standing {
                allowance: Allowance { tenant, agent, period, budget },
                spent: self.spent_since(tenant, agent, first),
                held: self.held(tenant, agent),
            }
        })
        .collect()
    }

    fn spent_since(&self, tenant: TenantId, agent: Option<AgentId>, first: Day) -> Usage {
        let (mut sum, mut tool_calls) = (Usage::default(), 0);
        for ((of, day, by), (usage, calls)) in &self.spent {
            if *of == tenant && *day >= first && agent.is_none_or(|agent| agent == *by) {
                sum.add(usage);
                tool_calls += calls;
            }
        }
        Usage { tool_calls: u64::try_from(tool_calls).unwrap_or(0), ..sum }
    }

    fn held(&self, tenant: TenantId, agent: Option<AgentId>) -> Estimate {
        let counts = |hold: &&Hold| {
            hold.tenant == tenant
                && hold.until > self.now
                && agent.is_none_or(|agent| agent == hold.agent)
        };
        let mut sum = Estimate { cost_micros: Some(0), tokens: 0 };
        for Hold { estimate, .. } in self.holds.values().filter(counts) {
            let cost = estimate.cost_micros.unwrap_or(0);
            sum.cost_micros = sum.cost_micros.map(|sum| sum.saturating_add(cost));
            sum.tokens = sum.tokens.saturating_add(estimate.tokens);
        }
        sum
    }

    pub(super) fn hold(&mut self, hold: &Hold, now: Timestamp) {
        self.holds.retain(|_, old| old.tenant != hold.tenant || old.until > now);
        self.holds.insert((hold.tenant, hold.run, hold.key.clone()), hold.clone());
    }

    /// Counts what an entry adds, and gives back what was reserved for it.
    pub(super) fn spend(&mut self, run: &Run, entry: &Entry) {
        if entry.record.kind == EntryKind::Model {
            self.holds.remove(&(run.tenant, run.id, entry.record.key.clone()));
        }
        let Some(spending) = entry.record.spending() else { return };
        let place = (run.tenant, Day::of(entry.at), run.agent);
        let (sum, tool_calls) = self.spent.entry(place).or_default();
        if let Some(usage) = spending.usage {
            sum.add(usage);
        }
        *tool_calls += spending.tool_calls;
    }
}
