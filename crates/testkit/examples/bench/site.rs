//! A side of a comparison: a server with its database, a worker and a load, each in a process of its
//! own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use tenure_testkit::databases::{Database, Server};
use tenure_testkit::processes::ControlPlane;
use tenure_testkit::processor;
use tokio::process::Command;

use crate::child::{self, Child};
use crate::load::{Done, Work};
use crate::seen::Sight;
use crate::system::{self, System};
use crate::usage::{Usage, Watched};

/// How long leases last: what operators have unless they say otherwise.
const LEASE_TTL: Duration = Duration::from_secs(10);

/// Where everything takes place.
pub(crate) struct Stage {
    pub(crate) server: Server,
    pub(crate) logs: PathBuf,
}

/// The processes of one side.
pub(crate) struct Site {
    pub(crate) name: String,
    /// Where its server listens.
    pub(crate) url: String,
    plane: Plane,
    worker: Child,
    load: Child,
    postgres: u32,
}

enum Plane {
    Product(Box<System>),
    /// The product on SQLite.
    Embedded(ControlPlane),
    Floor(Child),
}

/// What some load came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Seen by clients.
    pub(crate) done: Done,
    /// Seen by the worker.
    pub(crate) sight: Sight,
    pub(crate) usage: Usage,
    /// How long processor time was counted.
    pub(crate) time: Duration,
}

impl Stage {
    /// The product, with a worker and a load.
    pub(crate) async fn product(&mut self, name: &str) -> anyhow::Result<Site> {
        let system = self.system(name, LEASE_TTL).await?;
        self.site(system, &[]).await
    }

    /// The product on SQLite, as `tenure dev` has it.
    pub(crate) async fn embedded(&mut self, name: &str) -> anyhow::Result<Site> {
        let database = format!("sqlite:{}", self.logs.join(name).join("tenure.db").display());
        let plane = system::start(name, &database, &self.logs, LEASE_TTL).await?;
        let url = plane.url();
        let worker = worker(&url, &[])?;
        self.people(name, Plane::Embedded(plane), url, worker, &[]).await
    }

    /// The bare reference.
    pub(crate) async fn floor(&mut self, name: &str) -> anyhow::Result<Site> {
        let database = self.server.database(name.to_owned()).await?;
        let mut role = child::role("floor")?;
        role.env("TENURE_DATABASE_URL", &database.url);
        let mut plane = Child::start(name, role, &self.logs)?;
        let listens: SocketAddr = plane.ask(&()).await?;
        let url = format!("http://{listens}");
        let worker = worker(&url, &["--floor"])?;
        self.people(name, Plane::Floor(plane), url, worker, &["--floor"]).await
    }

    /// The product alone, on a new database.
    pub(crate) async fn system(
        &mut self,
        side: &str,
        lease_ttl: Duration,
    ) -> anyhow::Result<System> {
        let database = self.server.database(side.to_owned()).await?;
        self.again(database, lease_ttl).await
    }

    /// The product alone, on a database that it may have been on before.
    pub(crate) async fn again(
        &self,
        database: Database,
        lease_ttl: Duration,
    ) -> anyhow::Result<System> {
        System::start(database, &self.logs, lease_ttl).await
    }

    /// A worker, with these options, and a load for it.
    pub(crate) async fn site(&mut self, system: System, options: &[&str]) -> anyhow::Result<Site> {
        let worker = worker(&system.url(), options)?;
        self.site_with(system, worker).await
    }

    /// Something that takes the place of a worker, and a load for it.
    pub(crate) async fn site_with(
        &mut self,
        system: System,
        worker: Command,
    ) -> anyhow::Result<Site> {
        let (name, url) = (system.side().to_owned(), system.url());
        self.people(&name, Plane::Product(Box::new(system)), url, worker, &[]).await
    }

    async fn people(
        &mut self,
        name: &str,
        plane: Plane,
        url: String,
        worker: Command,
        more: &[&str],
    ) -> anyhow::Result<Site> {
        let worker = Child::start(&format!("{name}-worker"), worker, &self.logs)?;
        let mut load = child::role("load")?;
        load.args(["--url", &url]).args(more);
        let load = Child::start(&format!("{name}-load"), load, &self.logs)?;
        let postgres = self.server.postmaster().await?;
        Ok(Site { name: name.to_owned(), url, plane, worker, load, postgres })
    }
}

fn worker(url: &str, options: &[&str]) -> anyhow::Result<Command> {
    let mut worker = child::role("worker")?;
    worker.args(["--url", url]).args(options);
    Ok(worker)
}

impl Site {
    /// Does some work, and measures it.
    pub(crate) async fn measure(&mut self, work: Work) -> anyhow::Result<Measured> {
        // What was seen before is not of this work.
        self.sight().await?;
        let watch = self.watched()?.start()?;
        let done: Done = self.load.ask(&work).await?;
        let (usage, time) = watch.stop()?;
        let sight = self.sight().await?;
        Ok(Measured { done, sight, usage, time })
    }

    /// What the worker has seen since it was asked the last time.
    pub(crate) async fn sight(&mut self) -> anyhow::Result<Sight> {
        self.worker.ask(&()).await
    }

    /// Has so many more pollers begin.
    pub(crate) async fn add_pollers(&mut self, more: u32) -> anyhow::Result<()> {
        let _: Sight = self.worker.ask(&more).await?;
        Ok(())
    }

    /// What doing nothing takes for so long.
    pub(crate) async fn rest(&self, period: Duration) -> anyhow::Result<Usage> {
        let watch = self.watched()?.start()?;
        tokio::time::sleep(period).await;
        Ok(watch.stop()?.0)
    }

    /// KiB that the control plane and the worker occupy.
    #[expect(clippy::cast_precision_loss, reason = "far below where digits are lost")]
    pub(crate) fn resident(&self) -> anyhow::Result<(f64, f64)> {
        let plane = processor::resident(self.control_plane()?)?;
        Ok((plane as f64, processor::resident(self.worker()?)? as f64))
    }

    /// The process of the control plane, or of the bare reference.
    fn control_plane(&self) -> anyhow::Result<u32> {
        match &self.plane {
            Plane::Product(product) => product.pid(),
            Plane::Embedded(product) => product.process.pid(),
            Plane::Floor(floor) => floor.pid(),
        }
    }

    /// The process of the worker.
    pub(crate) fn worker(&self) -> anyhow::Result<u32> {
        self.worker.pid()
    }

    /// The product's database in PostgreSQL.
    pub(crate) fn database(&mut self) -> anyhow::Result<&mut Database> {
        match &mut self.plane {
            Plane::Product(product) => Ok(&mut product.database),
            Plane::Embedded(_) | Plane::Floor(_) => bail!("{} is another side", self.name),
        }
    }

    /// Stops everything of the product; the database stays.
    pub(crate) async fn stop(self) -> anyhow::Result<Database> {
        self.into_system()?.stop().await
    }

    /// Stops the worker and the load; the product stays.
    pub(crate) fn into_system(self) -> anyhow::Result<System> {
        match self.plane {
            Plane::Product(product) => Ok(*product),
            Plane::Embedded(_) | Plane::Floor(_) => bail!("{} is another side", self.name),
        }
    }

    fn watched(&self) -> anyhow::Result<Watched> {
        Ok(Watched {
            control_plane: self.control_plane()?,
            worker: self.worker()?,
            load: self.load.pid()?,
            postgres: self.postgres,
        })
    }
}
