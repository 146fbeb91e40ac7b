//! What only PostgreSQL has: two writers at once, and other processes.

mod races;

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tenure_core::{Run, RunId, WorkerId};
use tenure_store::postgres::PgStore;
use tenure_store::{Hint, Locked, Store, StoreError, Tx};

use tenure_testkit::postgres::database;

use crate::database::on_postgres;
use crate::world::{START, TTL, World, ann, name};

async fn begin(world: &World) -> Box<dyn Tx> {
    world.store.begin().await.unwrap()
}

async fn lock(tx: &mut Box<dyn Tx>, runs: &[&Run]) -> Vec<Locked> {
    let runs: Vec<_> = runs.iter().map(|run| (run.tenant, run.id)).collect();
    tx.lock_runs(&runs).await.unwrap().1
}

async fn claim(tx: &mut Box<dyn Tx>, world: &World, limit: usize) -> Vec<RunId> {
    let found = tx.find_ready(&[(world.tenant, name("default"))], limit).await.unwrap();
    let found: Vec<_> = found.iter().map(|ready| (ready.tenant, ready.run)).collect();
    let (now, runs) = tx.lock_ready(&found).await.unwrap();
    assert_eq!(now, START);
    runs.iter().map(|run| run.id).collect()
}

#[tokio::test]
async fn a_busy_run_is_passed_over() {
    on_postgres(|store| async move {
        let mut world = World::new(store).await;
        let (one, two) = (world.create().await, world.create().await);
        let (mut first, mut second) = (begin(&world).await, begin(&world).await);
        lock(&mut first, &[&one]).await;
        let locked = lock(&mut second, &[&one, &two]).await;
        assert_eq!(locked, [Locked::Busy, Locked::Run(Arc::new(two.clone()))]);
        let (now, _) = second.lock_runs(&[(one.tenant, one.id)]).await.unwrap();
        assert_eq!(now, START, "the time comes without a run as well");
        drop(first);
    })
    .await;
}

#[tokio::test]
async fn two_claims_share_the_queue() {
    on_postgres(|store| async move {
        let mut world = World::new(store).await;
        for _ in 0..5 {
            world.create().await;
        }
        let (mut first, mut second) = (begin(&world).await, begin(&world).await);
        let (one, two) = (claim(&mut first, &world, 3).await, claim(&mut second, &world, 5).await);
        assert_eq!((one.len(), two.len()), (3, 2));
        assert!(one.iter().all(|run| !two.contains(run)));
        let mut third = begin(&world).await;
        assert!(claim(&mut third, &world, 5).await.is_empty());
        drop((first, second));
    })
    .await;
}

/// A run that is queued and being cancelled: the claim neither waits for it nor takes its row away.
#[tokio::test]
async fn a_claim_passes_over_a_busy_run() {
    on_postgres(|store| async move {
        let mut world = World::new(store).await;
        let run = world.create().await;
        let mut first = begin(&world).await;
        lock(&mut first, &[&run]).await;
        let mut second = begin(&world).await;
        assert!(claim(&mut second, &world, 9).await.is_empty());
        second.commit().await.unwrap();
        let cancel = run.cancel(ann(""), START, TTL).unwrap().unwrap();
        first.save(&[cancel]).await.unwrap();
        drop(first);
        until_free(&world, &run).await;
        assert_eq!(world.ready(&["default"], 9).await, [run.id], "the cancel was dropped");
    })
    .await;
}

/// A dropped transaction is rolled back in the background: until then it holds its rows.
async fn until_free(world: &World, run: &Run) {
    loop {
        let mut tx = begin(world).await;
        let locked = lock(&mut tx, &[run]).await;
        tx.commit().await.unwrap();
        if locked != [Locked::Busy] {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_save_with_an_old_revision_is_a_conflict() {
    on_postgres(|store| async move {
        let mut world = World::new(store).await;
        let run = world.create_leased().await;
        let beat = run.beat(run.lease_held().unwrap().id, START, TTL).unwrap();
        // Neither has locked the run: the revision alone has to do.
        let (mut first, mut second) = (begin(&world).await, begin(&world).await);
        first.save(std::slice::from_ref(&beat)).await.unwrap();
        let late = async {
            let error = second.save(std::slice::from_ref(&beat)).await.unwrap_err();
            assert!(matches!(error, StoreError::Conflict(_)), "{error:?}");
        };
        tokio::join!(late, async { first.commit().await.unwrap() });
        assert_eq!(world.stored(&run).await, beat.run);
    })
    .await;
}

#[tokio::test]
async fn a_sweep_passes_over_what_is_locked() {
    on_postgres(|store| async move {
        let mut world = World::new(store).await;
        let (one, two) = (world.create_leased().await, world.create_leased().await);
        world.store.set_clock(Some(START + TTL * 2)).await.unwrap();
        let (mut first, mut second) = (begin(&world).await, begin(&world).await);
        lock(&mut first, &[&one]).await;
        let (_, swept) = second.lock_expired(9).await.unwrap();
        assert_eq!(swept, [two]);
        drop(first);
    })
    .await;
}

#[tokio::test]
async fn a_stale_ready_row_is_deleted() {
    database(async |url| {
        let mut world = World::new(Arc::new(PgStore::open(&url).await.unwrap())).await;
        let leased = world.create_leased().await;
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let insert = "INSERT INTO run_ready VALUES ($1, $2, $2, 'default', $2, 0, tenure_now())";
        for run in [leased.id.uuid(), world.id()] {
            let insert = sqlx::query(insert).bind(leased.tenant.uuid()).bind(run);
            insert.execute(&mut connection).await.unwrap();
        }
        let mut tx = begin(&world).await;
        assert!(claim(&mut tx, &world, 9).await.is_empty());
        tx.commit().await.unwrap();
        let left = "SELECT count(*) FROM run_ready";
        let left: i64 = sqlx::query_scalar(left).fetch_one(&mut connection).await.unwrap();
        assert_eq!(left, 0);
    })
    .await;
}

#[tokio::test]
async fn transactions_are_flushed_whatever_the_server_says() {
    database(async |url| {
        let mut world = World::new(Arc::new(PgStore::open(&url).await.unwrap())).await;
        let mut connection = PgConnection::connect(&url).await.unwrap();
        // Only the session itself knows its setting: let its next transaction write it down.
        let spy = "CREATE TABLE settings (value text);
                   CREATE FUNCTION spy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                       INSERT INTO settings VALUES (current_setting('synchronous_commit'));
                       RETURN NEW;
                   END $$;
                   CREATE TRIGGER spy BEFORE INSERT ON runs FOR EACH ROW EXECUTE FUNCTION spy();";
        sqlx::raw_sql(spy).execute(&mut connection).await.unwrap();
        world.create().await;
        let read = sqlx::query_scalar("SELECT value FROM settings");
        let setting: String = read.fetch_one(&mut connection).await.unwrap();
        assert_eq!(setting, "on");
    })
    .await;
}

#[tokio::test]
async fn hints_reach_other_processes_and_end_with_the_store() {
    database(async |url| {
        let (one, two) = (PgStore::open(&url).await.unwrap(), PgStore::open(&url).await.unwrap());
        let mut world = World::new(Arc::new(one)).await;
        let (pool, worker) = (name("default"), WorkerId::new(world.id()));
        let run = RunId::new(world.id());
        let hints =
            [Hint::Pool(world.tenant, pool), Hint::Run(world.tenant, run), Hint::Worker(worker)];
        let mut heard = two.hints();
        world.store.announce(&[]).await.unwrap();
        world.store.announce(&hints).await.unwrap();
        for hint in hints {
            let received = tokio::time::timeout(Duration::from_secs(5), heard.recv()).await;
            assert_eq!(received.expect("in time").unwrap(), hint);
        }
        drop(two);
        let closed = tokio::time::timeout(Duration::from_secs(5), heard.recv()).await;
        assert!(closed.expect("in time").is_err());
    })
    .await;
}

#[tokio::test]
async fn a_claim_passes_over_bad_data() {
    database(async |url| {
        let mut world = World::new(Arc::new(PgStore::open(&url).await.unwrap())).await;
        let (bad, good) = (world.create().await, world.create().await);
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let damage = sqlx::query("UPDATE runs SET attempts = -1 WHERE run_id = $1");
        damage.bind(bad.id.uuid()).execute(&mut connection).await.unwrap();
        assert_eq!(world.ready(&["default"], 9).await, [good.id]);
        // Nor does it leave the queue: mended, it goes on.
        let mend = sqlx::query("UPDATE runs SET attempts = 0 WHERE run_id = $1");
        mend.bind(bad.id.uuid()).execute(&mut connection).await.unwrap();
        assert!(world.ready(&["default"], 9).await.contains(&bad.id));
    })
    .await;
}
