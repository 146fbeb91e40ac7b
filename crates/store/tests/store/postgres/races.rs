//! Two transactions that want the same: the second waits or passes over, and sees what the first
//! did.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tenure_core::queue::Capped;
use tenure_core::run::{Concurrency, NewRun, Outcome, Policy};
use tenure_core::{
    Decision, Interrupt, LeaseId, Payload, Question, Run, RunId, Transition, WorkerId,
};
use tenure_store::postgres::PgStore;
use tenure_store::{Turn, Tx};
use tenure_testkit::postgres::database;

use super::begin;
use crate::world::{START, TTL, World, asks, name, next};

/// A world, and a connection that watches who waits in it.
struct Race {
    world: World,
    watch: PgConnection,
}

impl Race {
    async fn on(url: &str) -> Self {
        let world = World::new(Arc::new(PgStore::open(url).await.unwrap())).await;
        Self { world, watch: PgConnection::connect(url).await.unwrap() }
    }

    /// Commits the first transaction as soon as another one waits for it.
    async fn commit_when_awaited(&mut self, first: Box<dyn Tx>) {
        let waiting = "SELECT count(*) FROM pg_locks
                       WHERE NOT granted AND pid IN (SELECT pid FROM pg_stat_activity
                                                     WHERE datname = current_database())";
        while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut self.watch).await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
        first.commit().await.unwrap();
    }

    /// Leases what is next, within the caps.
    async fn claim(&mut self, tx: &mut Box<dyn Tx>) -> usize {
        let (now, runs) = next(tx, &[(self.world.tenant, name("default"))], 9).await;
        let mut leased = Vec::new();
        for run in runs {
            let (lease, worker) = (LeaseId::new(self.world.id()), WorkerId::new(self.world.id()));
            leased.push(run.lease(lease, worker, now, TTL).unwrap());
        }
        tx.save(&leased).await.unwrap();
        leased.len()
    }
}

/// A cap of one, and two that claim at once.
async fn never_two(of: impl Fn(&World) -> Capped, url: String) {
    let mut race = Race::on(&url).await;
    for _ in 0..3 {
        race.world.create().await;
    }
    let of = of(&race.world);
    let mut tx = begin(&race.world).await;
    assert!(tx.set_cap(of, Some(1)).await.unwrap());
    tx.commit().await.unwrap();
    let (mut first, mut second) = (begin(&race.world).await, begin(&race.world).await);
    // The second has looked before the first one leased.
    let found = second.find_ready(&[(of.0, name("default"))], 9).await.unwrap();
    assert_eq!((race.claim(&mut first).await, found.len()), (1, 3));
    let late = async {
        let caps = second.lock_caps(&[of]).await.unwrap();
        assert_eq!(caps[&of].room(), 0);
    };
    tokio::join!(late, race.commit_when_awaited(first));
    assert_eq!(race.world.store.count_running(of).await.unwrap(), 1);
}

#[tokio::test]
async fn two_claims_share_the_cap_of_a_tenant() {
    database(async |url| never_two(|world| (world.tenant, None), url).await).await;
}

#[tokio::test]
async fn two_claims_share_the_cap_of_an_agent() {
    database(async |url| never_two(|world| (world.tenant, Some(world.agent)), url).await).await;
}

/// Whoever takes a run may wait for whoever sets the cap, but not the other way round as well.
#[tokio::test]
async fn a_cap_is_set_while_runs_are_being_claimed() {
    database(async |url| {
        let mut race = Race::on(&url).await;
        let (taken, left) = (race.world.create().await, race.world.create().await);
        let mut first = begin(&race.world).await;
        let (now, runs) = first.lock_ready(&[(taken.tenant, taken.id)]).await.unwrap();
        let (lease, worker) = (LeaseId::new(race.world.id()), WorkerId::new(race.world.id()));
        first.save(&[runs[0].lease(lease, worker, now, TTL).unwrap()]).await.unwrap();
        let mut second = begin(&race.world).await;
        let of = (taken.tenant, Some(taken.agent));
        assert!(second.set_cap(of, Some(1)).await.unwrap(), "without waiting");
        second.commit().await.unwrap();
        first.commit().await.unwrap();
        let mut tx = begin(&race.world).await;
        let found = tx.find_ready(&[(taken.tenant, name("default"))], 9).await.unwrap();
        assert_eq!((found.len(), found[0].run, found[0].lane), (1, left.id, Some(left.agent)));
        assert!(tx.lock_caps(&[of]).await.unwrap()[&of].room() == 0);
    })
    .await;
}

/// A run that is on its way into the queue when the cap is set counts as well.
#[tokio::test]
async fn a_cap_holds_for_a_run_that_has_just_come() {
    database(async |url| {
        let mut race = Race::on(&url).await;
        let created = race.world.new_run("default", START);
        let of = (created.run.tenant, Some(created.run.agent));
        let (mut first, mut second) = (begin(&race.world).await, begin(&race.world).await);
        first.save(std::slice::from_ref(&created)).await.unwrap();
        assert!(second.set_cap(of, Some(1)).await.unwrap());
        second.commit().await.unwrap();
        first.commit().await.unwrap();
        let mut tx = begin(&race.world).await;
        let found = tx.find_ready(&[(of.0, name("default"))], 9).await.unwrap();
        assert_eq!((found[0].run, found[0].lane), (created.run.id, of.1));
    })
    .await;
}

#[tokio::test]
async fn a_turn_is_taken_by_one_of_two() {
    database(async |url| {
        let mut race = Race::on(&url).await;
        let tenant = race.world.tenant;
        let [a, b] = [(); 2].map(|()| RunId::new(race.world.id()));
        let turn = |key: &str, run| Turn { tenant, key: key.into(), run };
        let (mut first, mut second) = (begin(&race.world).await, begin(&race.world).await);
        // Each names the keys in another order, and none waits for ever.
        let asked = [turn("y", a), turn("x", a)];
        assert_eq!(first.take_turns(&asked).await.unwrap(), [a, a]);
        let late = async {
            let asked = [turn("x", b), turn("y", b), turn("z", b)];
            assert_eq!(second.take_turns(&asked).await.unwrap(), [a, a, b]);
            second.commit().await.unwrap();
        };
        tokio::join!(late, race.commit_when_awaited(first));
    })
    .await;
}

/// A run that begins to wait in the moment in which the turn is given on is not forgotten.
#[tokio::test]
async fn the_turn_goes_to_a_run_that_has_just_come() {
    database(async |url| {
        let mut race = Race::on(&url).await;
        let tenant = race.world.tenant;
        let owner = RunId::new(race.world.id());
        let turn = |run| Turn { tenant, key: "k".into(), run };
        let mut tx = begin(&race.world).await;
        assert_eq!(tx.take_turns(&[turn(owner)]).await.unwrap(), [owner]);
        tx.commit().await.unwrap();

        let concurrency = Some(Concurrency { key: "k".into(), policy: Policy::Queue });
        let new = NewRun { concurrency, ..race.world.given("default") };
        let (mut first, mut second) = (begin(&race.world).await, begin(&race.world).await);
        assert_eq!(first.take_turns(&[turn(new.id)]).await.unwrap(), [owner]);
        let waiting = Run::create(new, false, START).unwrap();
        first.save(std::slice::from_ref(&waiting)).await.unwrap();
        let free = async {
            let found = second.lock_turn(tenant, "k").await.unwrap();
            assert_eq!(found, (Some(owner), Some(waiting.run.id)));
            second.set_turn(tenant, "k", found.1).await.unwrap();
            second.commit().await.unwrap();
        };
        tokio::join!(free, race.commit_when_awaited(first));
        let found = race.world.store.find_turn(tenant, "k").await.unwrap();
        assert_eq!(found, Some(waiting.run.id));
    })
    .await;
}

/// A key that nobody has is locked as well: of two that free it, one finds what the other did.
#[tokio::test]
async fn a_free_turn_is_given_once() {
    database(async |url| {
        let mut race = Race::on(&url).await;
        let tenant = race.world.tenant;
        let [a, b] = [(); 2].map(|()| RunId::new(race.world.id()));
        let (mut first, mut second) = (begin(&race.world).await, begin(&race.world).await);
        assert_eq!(first.lock_turn(tenant, "k").await.unwrap(), (None, None));
        first.set_turn(tenant, "k", Some(a)).await.unwrap();
        let late = async {
            assert_eq!(second.lock_turn(tenant, "k").await.unwrap(), (Some(a), None));
            second.set_turn(tenant, "k", None).await.unwrap();
        };
        tokio::join!(late, race.commit_when_awaited(first));
        // And one that waits for a key that is being freed gets it.
        let mut third = begin(&race.world).await;
        let late = async {
            let turn = Turn { tenant, key: "k".into(), run: b };
            assert_eq!(third.take_turns(&[turn]).await.unwrap(), [b]);
        };
        tokio::join!(late, race.commit_when_awaited(second));
    })
    .await;
}

#[tokio::test]
async fn a_message_is_taken_by_one_of_two() {
    database(async |url| {
        let mut race = Race::on(&url).await;
        let concurrency = Some(Concurrency { key: "k".into(), policy: Policy::Replace });
        for _ in 0..3 {
            let new = NewRun { concurrency: concurrency.clone(), ..race.world.given("default") };
            race.world.create_of(new, false).await;
        }
        let retry = Duration::from_secs(10);
        let (mut first, mut second) = (begin(&race.world).await, begin(&race.world).await);
        let one = first.take_messages(2, retry).await.unwrap();
        let two = second.take_messages(2, retry).await.unwrap();
        assert_eq!((one.len(), two.len()), (2, 1));
        assert!(!one.contains(&two[0]));
        first.commit().await.unwrap();
        second.commit().await.unwrap();
        assert_eq!(begin(&race.world).await.take_messages(9, retry).await.unwrap(), []);
    })
    .await;
}

/// Answer against timeout: whoever locks the run first.
#[tokio::test]
async fn a_question_is_not_timed_out_while_it_is_answered() {
    database(async |url| {
        let mut race = Race::on(&url).await;
        let run = race.world.create_leased().await;
        let question = Question { timeout: Some(TTL), ..Question::default() };
        let suspend = Outcome::Suspend { inbox: 0, wake_after: None, on: Vec::new() };
        let run = race.world.commit(&run, vec![asks("ask", question)], Some(suspend)).await;
        race.world.store.set_clock(Some(START + TTL)).await.unwrap();
        let (mut first, mut second) = (begin(&race.world).await, begin(&race.world).await);
        first.lock_runs(&[(run.tenant, run.id)]).await.unwrap();
        assert!(second.lock_due(9).await.unwrap().1.is_empty());
        let answered = answered(&mut first, &run).await;
        first.save(&[answered]).await.unwrap();
        first.commit().await.unwrap();
        assert!(second.lock_due(9).await.unwrap().1.is_empty());
    })
    .await;
}

async fn answered(tx: &mut Box<dyn Tx>, run: &Run) -> Transition {
    let id = Interrupt::id_of(run.id, &"ask".parse().unwrap());
    let found = tx.read_interrupts(&[(run.tenant, id)]).await.unwrap();
    let answer = tenure_core::Answer {
        decision: Decision::Approve,
        value: Payload::default(),
        reason: String::new(),
        actor: String::new(),
    };
    let interrupt = found[0].as_ref().unwrap();
    run.resolve(interrupt, answer, Payload::default(), START + TTL).unwrap().unwrap()
}
