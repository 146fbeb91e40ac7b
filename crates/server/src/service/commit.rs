//! Commit: a worker appends to a journal and may end its lease.

use std::sync::Arc;

use tenure_core::run::{Commit, Committed};
use tenure_core::{EntryStatus, Error, Name, Opening, Result, Run, RunId};

use super::Service;
use super::resolve::schema;
use crate::ledger::Command;

impl Service {
    /// Commits, or answers a repetition as before; the run afterwards.
    pub async fn commit(&self, tenant: &Name, run: RunId, commit: Commit) -> Result<Arc<Run>> {
        check_schemas(&commit)?;
        let tenant = self.tenant_id(tenant).await?;
        let ttl = self.settings.lease_ttl;
        let decide = Box::new(move |run: &Run, now| {
            Ok(match run.commit(commit.clone(), now, ttl)? {
                Committed::Applied(transition) => Some(*transition),
                Committed::Repeated => None,
            })
        });
        Ok(self.ledger.apply(Command::Change { tenant, run, decide }).await?.run)
    }
}

/// Refuses questions that nobody could answer.
fn check_schemas(commit: &Commit) -> Result<()> {
    for record in &commit.records {
        if let EntryStatus::Opened(Opening::Interrupt(question)) = &record.status
            && !question.schema.is_empty()
        {
            schema(&question.schema).map_err(|error| {
                Error::invalid(format!("the schema of `{}`: {}", record.key, error.message()))
            })?;
        }
    }
    Ok(())
}
