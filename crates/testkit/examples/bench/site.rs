//! A side of a comparison: a server with its database, a worker and a load, each in a process of its
//! own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use tenure_testkit::databases::{Database, Server};
use tenure_testkit::processes::{ControlPlane, Settings, beside_example};

use crate::child::{self, Child};
use crate::load::{Done, Work};
use crate::seen::Sight;
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
    plane: Plane,
    worker: Child,
    load: Child,
    postgres: u32,
}

enum Plane {
    Product(Box<(ControlPlane, Database)>),
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
    /// The product.
    pub(crate) async fn product(&mut self, name: &str) -> anyhow::Result<Site> {
        let database = self.server.database(name.to_owned()).await?;
        let settings = Settings {
            binary: beside_example("tenure-control-plane")?,
            name: name.to_owned(),
            logs: self.logs.clone(),
            database_url: database.url.clone(),
            redis_url: None,
            lease_ttl: LEASE_TTL,
        };
        let plane = ControlPlane::start(&settings).await?;
        let url = plane.url();
        self.people(name, Plane::Product(Box::new((plane, database))), &url, &[]).await
    }

    /// The bare reference.
    pub(crate) async fn floor(&mut self, name: &str) -> anyhow::Result<Site> {
        let database = self.server.database(name.to_owned()).await?;
        let mut role = child::role("floor")?;
        role.env("TENURE_DATABASE_URL", &database.url);
        let mut plane = Child::start(name, role, &self.logs)?;
        let listens: SocketAddr = plane.ask(&()).await?;
        let url = format!("http://{listens}");
        self.people(name, Plane::Floor(plane), &url, &["--floor"]).await
    }

    /// Its worker and its load.
    async fn people(
        &mut self,
        name: &str,
        plane: Plane,
        url: &str,
        more: &[&str],
    ) -> anyhow::Result<Site> {
        let start = |role: &str| {
            let mut command = child::role(role)?;
            command.args(["--url", url]).args(more);
            Child::start(&format!("{name}-{role}"), command, &self.logs)
        };
        let (worker, load) = (start("worker")?, start("load")?);
        let postgres = self.server.postmaster().await?;
        Ok(Site { name: name.to_owned(), plane, worker, load, postgres })
    }
}

impl Site {
    /// Does some work, and measures it.
    pub(crate) async fn measure(&mut self, work: Work) -> anyhow::Result<Measured> {
        // What was seen before is not of this work.
        let _: Sight = self.worker.ask(&()).await?;
        let watch = self.watched()?.start()?;
        let done: Done = self.load.ask(&work).await?;
        let (usage, time) = watch.stop()?;
        let sight = self.worker.ask(&()).await?;
        Ok(Measured { done, sight, usage, time })
    }

    /// The process of the control plane, or of the bare reference.
    pub(crate) fn control_plane(&self) -> anyhow::Result<u32> {
        match &self.plane {
            Plane::Product(product) => product.0.process.pid(),
            Plane::Floor(floor) => floor.pid(),
        }
    }

    /// The product's database.
    pub(crate) fn database(&mut self) -> anyhow::Result<&mut Database> {
        match &mut self.plane {
            Plane::Product(product) => Ok(&mut product.1),
            Plane::Floor(_) => bail!("{} is not the product", self.name),
        }
    }

    fn watched(&self) -> anyhow::Result<Watched> {
        Ok(Watched {
            control_plane: self.control_plane()?,
            worker: self.worker.pid()?,
            load: self.load.pid()?,
            postgres: self.postgres,
        })
    }
}
