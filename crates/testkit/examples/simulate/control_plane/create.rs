//! Create: a client's request or a run's call becomes a run, once, if it may have its turn.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tenure_core::run::{Concurrency, NewRun, Parent, Policy};
use tenure_core::{AgentId, Error, Payload, Result, Run, RunId, TenantId};
use uuid::Uuid;

use super::batch::Batch;
use crate::guard::Guard;
use crate::oracle::By;
use crate::script::Script;
use crate::world::World;

/// What is to be created.
#[derive(Debug)]
pub(super) struct Create {
    /// Under which idempotency key.
    pub(super) key: String,
    pub(super) script: Arc<Script>,
    pub(super) priority: i32,
    /// The run that calls it, and how many are above it.
    pub(super) parent: Option<(Parent, u32)>,
}

impl Create {
    pub(super) fn asked(key: String, script: Arc<Script>) -> Self {
        let priority = script.terms.priority;
        Self { key, script, priority, parent: None }
    }

    fn new_run(&self, id: RunId) -> NewRun {
        let terms = &self.script.terms;
        let (parent, depth) = self.parent.clone().unzip();
        NewRun {
            id,
            tenant: TenantId::new(Uuid::nil()),
            agent: AgentId::new(Uuid::nil()),
            version: 1,
            pool: "default".parse().expect("a name"),
            input: Payload::default(),
            labels: BTreeMap::new(),
            start_after: Duration::ZERO,
            max_attempts: None,
            retry: terms.retry,
            priority: self.priority,
            timeout: terms.timeout,
            concurrency: terms.concurrency.clone(),
            parent,
            depth: depth.unwrap_or(0),
            entries: 0,
            check: None,
            budget: tenure_core::Budget::default(),
        }
    }
}

impl Batch {
    pub(super) fn create(&mut self, world: &mut World, create: &Create) -> Result<Arc<Run>> {
        let here = self.keys.get(&create.key).copied();
        let first = here.or_else(|| world.store.key(&create.key));
        if let Some(first) = first.filter(|_| !world.plan.lacks(Guard::Key)) {
            return self.change(world, first, By::Client, |_, _| Ok(None));
        }
        let id = RunId::new(world.new_id());
        if world.plan.lacks(Guard::Refused) {
            self.keys.insert(create.key.clone(), id);
        }
        let turn = self.take_turn(world, id, create.script.terms.concurrency.as_ref())?;
        let created = Run::create(create.new_run(id), turn, self.now)?;
        self.keys.insert(create.key.clone(), id);
        self.given.insert(id, create.script.clone());
        Ok(self.keep(By::Create(create.key.clone()), None, created))
    }

    /// Whether a new run has the turn of its concurrency key.
    fn take_turn(
        &mut self,
        world: &World,
        run: RunId,
        concurrency: Option<&Concurrency>,
    ) -> Result<bool> {
        let Some(Concurrency { key, policy }) = concurrency else { return Ok(true) };
        let here = self.turns.get(key).copied();
        match (here.or_else(|| world.store.turn(key)), policy) {
            (None, _) => {
                self.turns.insert(key.clone(), run);
                Ok(true)
            }
            (Some(holder), Policy::Reject) => {
                Err(Error::wrong_state(format!("{holder} has the turn of `{key}`")))
            }
            (Some(_), Policy::Queue | Policy::Replace) => Ok(false),
        }
    }
}
