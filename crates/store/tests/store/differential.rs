//! The same random operations on the in-memory model, SQLite and PostgreSQL: after each one, the
//! same answers and the same contents as far as they have changed, until every method and every
//! command has succeeded.
//!
//! An operation gets a store and a random generator and nothing else, so that with equal seeds it
//! does the same on every store as long as they answer the same. Repeat a failure with the seed
//! that was printed: `TENURE_SEED=… scripts/test differential`.

mod commands;
mod contents;
mod reads;
mod registry;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use tenure_core::{AgentId, RunId, StateName, TenantId};
use tenure_store::postgres::PgStore;
use tenure_store::sqlite::SqliteStore;
use tenure_store::{RunFilter, Store};
use tenure_testkit::model::Model;
use uuid::Uuid;

use contents::Seen;

use crate::world::START;

const SEED: &str = "TENURE_SEED";
/// The least number of operations; more if something has not succeeded by then.
const STEPS: usize = 150;
const MOST_STEPS: usize = 2_000;

/// Every method of the contract that can succeed, and every command of the rules.
const EVERYTHING: &[&str] = &[
    // Store
    "find_tenant",
    "list_tenants",
    "list_standings",
    "find_agent",
    "get_agent",
    "list_agents",
    "find_version",
    "find_spec",
    "list_versions",
    "list_aliases",
    "find_run",
    "list_runs",
    "read_journal",
    "find_interrupt",
    "list_interrupts",
    "polled_at",
    "count_running",
    "count_ahead",
    "find_turn",
    "read_inbox",
    "list_artifacts",
    "find_artifact",
    "announce",
    "now",
    "heard_now",
    "set_clock",
    "save_known",
    "save_known (otherwise)",
    "read_inputs",
    // Tx
    "tx.now",
    "insert_tenant",
    "insert_agent",
    "lock_agent",
    "find_version_by_digest",
    "insert_version",
    "set_alias",
    "reserve_keys",
    "lock_runs",
    "find_ready",
    "lock_caps",
    "lock_ready",
    "lock_expired",
    "lock_due",
    "read_interrupts",
    "inbox_sources",
    "save",
    "take_turns",
    "lock_turn",
    "set_turn",
    "take_messages",
    "drop_messages",
    "copy_journal",
    "note_polls",
    "set_cap",
    "set_policy",
    "set_allowance",
    "lock_allowances",
    "hold",
    "put_artifact",
    "commit",
    "drop",
    "conflict",
    // commands
    "create",
    "seat",
    "advance",
    "try again",
    "lease",
    "beat",
    "withdraw",
    "deliver",
    "cancel",
    "cancel (asked)",
    "pause",
    "pause (asked)",
    "resume",
    "resume (asked)",
    "patch",
    "prioritize",
    "admit",
    "resolve",
    "time out",
    "complete",
    "expire",
    "deadline",
    "append",
    "open interrupt",
    "call",
    "start",
    "succeed",
    "fail",
    "retry",
    "suspend",
    "sleep",
    "block",
    "release",
    "cancelled",
    "repeated",
];

/// One operation on one store: what it is made of, and what came of it.
struct Step<'s> {
    store: &'s dyn Store,
    random: fastrand::Rng,
    /// What was answered, in order.
    answers: Vec<String>,
    /// What succeeded.
    done: BTreeSet<&'static str>,
}

impl Step<'_> {
    fn id(&mut self) -> Uuid {
        Uuid::from_u128(self.random.u128(..))
    }

    /// Notes an answer, and that the method or command succeeded if it is more than nothing.
    fn note(&mut self, what: &'static str, answer: impl Debug, succeeded: bool) {
        self.answers.push(format!("{what}: {answer:?}"));
        if succeeded {
            self.done.insert(what);
        }
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        if from.is_empty() { None } else { Some(from[self.random.usize(..from.len())].clone()) }
    }

    async fn tenants(&self) -> Vec<TenantId> {
        let page = self.store.list_tenants(None, 99).await.unwrap();
        page.into_iter().map(|tenant| tenant.id).collect()
    }

    async fn agents(&self, tenant: TenantId) -> Vec<AgentId> {
        let page = self.store.list_agents(tenant, None, 99).await.unwrap();
        page.into_iter().map(|agent| agent.id).collect()
    }

    async fn runs(&self, tenant: TenantId) -> Vec<RunId> {
        self.list(tenant, &RunFilter::default()).await
    }

    /// The runs that have not ended.
    async fn alive(&self, tenant: TenantId) -> Vec<RunId> {
        let states = StateName::ALL.into_iter().filter(|state| !state.is_terminal()).collect();
        self.list(tenant, &RunFilter { states, ..RunFilter::default() }).await
    }

    async fn list(&self, tenant: TenantId, filter: &RunFilter) -> Vec<RunId> {
        let page = self.store.list_runs(tenant, filter, None, 99).await.unwrap();
        page.into_iter().map(|full| full.run.id).collect()
    }

    async fn act(&mut self) {
        match self.random.u32(..20) {
            0..3 => registry::act(self).await,
            3..5 => reads::move_clock(self).await,
            5..8 => reads::act(self).await,
            _ => commands::act(self).await,
        }
    }
}

#[tokio::test]
async fn the_stores_do_as_the_model_does() {
    let seed = match std::env::var(SEED) {
        Ok(seed) => seed.parse().expect("a number"),
        Err(_) => fastrand::u64(..),
    };
    println!("{SEED}={seed}");
    tenure_testkit::postgres::database(async move |url| {
        let stores: [(&str, Arc<dyn Store>); 3] = [
            ("model", Arc::new(Model::default())),
            ("sqlite", Arc::new(SqliteStore::open("sqlite::memory:").await.unwrap())),
            ("postgres", Arc::new(PgStore::open(&url).await.unwrap())),
        ];
        tenure_testkit::postgres::add_checks(&url).await;
        compare(&stores, fastrand::Rng::with_seed(seed)).await;
    })
    .await;
}

async fn compare(stores: &[(&str, Arc<dyn Store>)], mut random: fastrand::Rng) {
    for (_, store) in stores {
        store.set_clock(Some(START)).await.unwrap();
    }
    let mut missing: BTreeSet<_> = EVERYTHING.iter().copied().collect();
    let mut seen = vec![Seen::default(); stores.len()];
    for number in 0..MOST_STEPS {
        if missing.is_empty() && number >= STEPS {
            // With nothing seen, all is new: also what a step has changed and should not have.
            seen.fill_with(Seen::default);
            return compare_contents(stores, &mut seen, "in the end").await;
        }
        for done in step(stores, &mut seen, number, random.u64(..)).await {
            assert!(EVERYTHING.contains(&done), "{done} is not in the list");
            if missing.remove(done) && number > 60 {
                eprintln!("{number} {done}");
            }
        }
    }
    panic!("never succeeded: {missing:?}");
}

/// One operation on every store.
async fn step(
    stores: &[(&str, Arc<dyn Store>)],
    seen: &mut [Seen],
    number: usize,
    seed: u64,
) -> BTreeSet<&'static str> {
    let mut first = None;
    for (name, store) in stores {
        let random = fastrand::Rng::with_seed(seed);
        let (answers, done) = (Vec::new(), BTreeSet::new());
        let mut step = Step { store: &**store, random, answers, done };
        step.act().await;
        match &first {
            None => first = Some((step.answers, step.done)),
            Some((answers, _)) => {
                assert_eq!(&step.answers, answers, "step {number}: {name} answers as the model");
            }
        }
    }
    compare_contents(stores, seen, &format!("step {number}")).await;
    first.expect("a store").1
}

async fn compare_contents(stores: &[(&str, Arc<dyn Store>)], seen: &mut [Seen], when: &str) {
    let mut first = None;
    for ((name, store), seen) in stores.iter().zip(seen) {
        let contents = contents::of(&**store, seen).await;
        let model = first.get_or_insert_with(|| contents.clone());
        contents.assert_equal(model, &format!("{when}: {name} holds as the model"));
    }
}
