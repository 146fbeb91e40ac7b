//! Everything that is under test, with a proxy in each link, and the faults done to it.
//!
//! ```text
//!  worker ─┐                       ┌─► control plane ──proxies──┐
//!  worker ─┼─a proxy of each its own                            ├─► PostgreSQL (and Redis)
//!  client ─┘  (a load balancer)    └─► control plane ──proxies──┘
//! ```

mod link;
mod start;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use link::Link;
use start::{ControlPlanes, start_workers};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

use crate::database::{Database, Postgres};
use crate::fault::{Fault, Party, What};
use crate::log::{self, Event, Log};
use crate::options::Test;
use crate::processes::{Server, Worker};

/// How long the load balancers take to notice that a control plane hangs, every other time.
const HEALTH_CHECK: Duration = Duration::from_millis(600);

/// The processes and the links between them. What has a fault is locked as long as that lasts, so
/// that no fault meets another one in its place.
pub(crate) struct Site {
    workers: Vec<Mutex<Worker>>,
    control_planes: Vec<Mutex<Server>>,
    postgres: Option<Mutex<Postgres>>,
    redis: Option<Mutex<Server>>,
    worker_links: Vec<Link>,
    database_links: Vec<Link>,
    /// None without Redis.
    redis_links: Vec<Link>,
    client_link: Link,
    /// Where the client finds a control plane.
    pub(crate) url: String,
    log: Log,
    log_path: PathBuf,
    /// Faults so far.
    pub(crate) faults: AtomicU64,
}

impl Site {
    /// Starts all of it.
    pub(crate) async fn start(
        test: &Test,
        database: &Database,
        directory: &Path,
    ) -> anyhow::Result<Self> {
        let redis = if test.redis() { Some(Server::redis(directory).await?) } else { None };
        let ControlPlanes { servers: control_planes, database_links, redis_links } =
            ControlPlanes::start(test, database, redis.as_ref(), directory).await?;
        let listening: Vec<String> =
            control_planes.iter().map(|control_plane| control_plane.listen.to_string()).collect();
        let (workers, worker_links) = start_workers(test, &listening, directory).await?;
        let client_link = Link::to(listening).await;
        let log_path = log::events(directory);
        Ok(Self {
            workers: workers.into_iter().map(Mutex::new).collect(),
            control_planes: control_planes.into_iter().map(Mutex::new).collect(),
            postgres: database.postgres().map(Mutex::new),
            redis: redis.map(Mutex::new),
            worker_links,
            database_links,
            redis_links,
            url: client_link.url(),
            client_link,
            log: Log::open(&log_path)?,
            log_path,
            faults: AtomicU64::new(0),
        })
    }

    /// How many workers and control planes there are.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.workers.len(), self.control_planes.len())
    }

    /// Writes into the log.
    pub(crate) fn write(&self, event: Event) -> anyhow::Result<()> {
        Ok(self.log.write(event)?)
    }

    /// Does this, as long as it lasts. Waits for an earlier fault in the same place.
    pub(crate) async fn suffer(&self, fault: Fault) -> anyhow::Result<()> {
        match fault.whom {
            Party::Worker => {
                let mut worker = self.workers[fault.place].lock().await;
                self.record(fault, self.hurt_worker(&mut worker, fault)).await
            }
            Party::ControlPlane => {
                let mut control_plane = self.control_planes[fault.place].lock().await;
                self.record(fault, self.hurt_control_plane(&mut control_plane, fault)).await
            }
            Party::Postgres => {
                let postgres = self.postgres.as_ref().context("no PostgreSQL of ours")?;
                let postgres = postgres.lock().await;
                self.record(fault, hurt_postgres(&postgres, fault)).await
            }
            Party::Redis => {
                let redis = self.redis.as_ref().context("no Redis of ours")?;
                let mut redis = redis.lock().await;
                self.record(fault, hurt_redis(&mut redis, fault)).await
            }
            Party::WorkerLink | Party::DatabaseLink | Party::ClientLink | Party::RedisLink => {
                let link = self.link(fault);
                let _fault = link.fault.lock().await;
                self.record(fault, link.disturb(fault)).await
            }
        }
    }

    /// Kills a worker, unless there is a fault in its place already.
    pub(crate) async fn kill_worker(&self, place: usize) -> anyhow::Result<()> {
        let Ok(mut worker) = self.workers[place].try_lock() else { return Ok(()) };
        let (what, whom, length) = (What::Killed, Party::Worker, Duration::ZERO);
        let fault = Fault { what, whom, place, length };
        self.record(fault, self.hurt_worker(&mut worker, fault)).await
    }

    /// An error if a process has ended by itself.
    pub(crate) async fn lives(&self) -> anyhow::Result<()> {
        for worker in &self.workers {
            worker.lock().await.process.lives()?;
        }
        for control_plane in &self.control_planes {
            control_plane.lock().await.process.lives()?;
        }
        if let Some(redis) = &self.redis {
            redis.lock().await.process.lives()?;
        }
        Ok(())
    }

    fn link(&self, fault: Fault) -> &Link {
        match fault.whom {
            Party::WorkerLink => &self.worker_links[fault.place],
            Party::DatabaseLink => &self.database_links[fault.place],
            Party::RedisLink => &self.redis_links[fault.place],
            _ => &self.client_link,
        }
    }

    async fn record(
        &self,
        fault: Fault,
        suffered: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        let number = self.faults.fetch_add(1, Ordering::Relaxed);
        self.write(Event::FaultBegins(number, fault))?;
        suffered.await.with_context(|| format!("{fault:?}"))?;
        self.write(Event::FaultEnds(number))
    }

    async fn hurt_worker(&self, worker: &mut Worker, fault: Fault) -> anyhow::Result<()> {
        if fault.what == What::Killed {
            return worker.crash().await;
        }
        // In the middle of a step, and it wakes up at the worst moment, if there are such moments.
        let name = worker.process.name.clone();
        if let Ok(busy) = timeout(fault.length, log::busy(&self.log_path, &name)).await {
            busy?;
        }
        worker.process.stop().await?;
        if let Ok(replaced) = timeout(fault.length, log::replaced(&self.log_path, &name)).await {
            replaced?;
        }
        worker.process.go_on().await
    }

    async fn hurt_control_plane(
        &self,
        control_plane: &mut Server,
        fault: Fault,
    ) -> anyhow::Result<()> {
        if fault.what == What::Killed {
            return control_plane.crash().await;
        }
        let ill = control_plane.listen.to_string();
        control_plane.process.stop().await?;
        sleep(fault.length.min(HEALTH_CHECK)).await;
        // Every other time, by the milliseconds that chance has given it, load balancers notice.
        if fault.length.as_millis().is_multiple_of(2) {
            self.balancers().for_each(|link| link.proxy.avoid(ill.clone()));
        }
        sleep(fault.length.saturating_sub(HEALTH_CHECK)).await;
        control_plane.process.go_on().await?;
        self.balancers().for_each(|link| link.proxy.trust(&ill));
        Ok(())
    }

    fn balancers(&self) -> impl Iterator<Item = &Link> {
        self.worker_links.iter().chain([&self.client_link])
    }
}

async fn hurt_postgres(postgres: &Postgres, fault: Fault) -> anyhow::Result<()> {
    match fault.what {
        What::Killed => postgres.crash().await,
        _ => postgres.restart().await,
    }
}

async fn hurt_redis(redis: &mut Server, fault: Fault) -> anyhow::Result<()> {
    if fault.what == What::Killed {
        return redis.crash().await;
    }
    redis.process.stop().await?;
    sleep(fault.length).await;
    redis.process.go_on().await
}
