//! A system: a database, a control plane on it, and what clients ask of that.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tenure_sdk::{Client, v1};

use tenure_testkit::databases::Database;
use tenure_testkit::processes::{ControlPlane, Settings, beside_example};

use crate::crowd::hand::{Hand, json};
use crate::task::AGENT;

/// The tenant that has many runs.
pub(crate) const CROWD: &str = "crowd";
/// The tenant of all others.
pub(crate) const ONE: &str = "default";
/// Both.
const TENANTS: &str = "crowd,default";

/// A control plane with its database.
pub(crate) struct System {
    pub(crate) database: Database,
    pub(crate) client: Client,
    control_plane: ControlPlane,
}

/// How long leases last in which workers that are driven by hand send no heartbeats: longer than any
/// measurement.
pub(crate) const UNTENDED: Duration = Duration::from_hours(1);

impl System {
    /// Starts a control plane on a database and makes the agent known to both tenants.
    pub(crate) async fn start(
        database: Database,
        logs: &Path,
        lease_ttl: Duration,
    ) -> anyhow::Result<Self> {
        let control_plane = start(&database.name, &database.url, logs, lease_ttl).await?;
        let client = Client::connect(&control_plane.url(), CROWD.parse()?)?;
        for tenant in [CROWD, ONE] {
            publish(&client, tenant).await?;
        }
        Ok(Self { database, client, control_plane })
    }

    /// What side of a comparison it is, for people.
    pub(crate) fn side(&self) -> &str {
        &self.database.side
    }

    /// Stops the control plane; the database stays.
    pub(crate) async fn stop(self) -> anyhow::Result<Database> {
        let mut control_plane = self.control_plane;
        control_plane.process.kill().await?;
        Ok(self.database)
    }

    /// The process of the control plane.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.control_plane.process.pid()
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        self.control_plane.url()
    }

    /// So many workers that look for runs of these tenants, each on a connection of its own.
    pub(crate) fn hands(&self, count: usize, tenants: &[&str]) -> anyhow::Result<Vec<Arc<Hand>>> {
        let hand = |_| Ok(Arc::new(Hand::new(&self.control_plane.url(), tenants)?));
        (0..count).map(hand).collect()
    }

    /// Creates a run whose input is a number; its id.
    pub(crate) async fn create(
        &self,
        tenant: &str,
        number: usize,
        priority: i32,
    ) -> anyhow::Result<String> {
        create(&self.client, tenant, number, priority).await
    }

    /// Bounds how many runs of the crowd are leased at a time.
    pub(crate) async fn cap(&self, max_running: Option<i32>) -> anyhow::Result<()> {
        let request = v1::SetTenantCapRequest { tenant: CROWD.into(), max_running };
        self.client.tenants().set_tenant_cap(request).await.context("the cap was refused")?;
        Ok(())
    }
}

/// Starts a control plane, whose log has this name.
pub(crate) async fn start(
    name: &str,
    database_url: &str,
    logs: &Path,
    lease_ttl: Duration,
) -> anyhow::Result<ControlPlane> {
    let settings = Settings {
        binary: beside_example("tenure-control-plane")?,
        name: name.to_owned(),
        logs: logs.to_owned(),
        database_url: database_url.to_owned(),
        redis_url: None,
        lease_ttl,
        tenants: TENANTS,
    };
    ControlPlane::start(&settings).await
}

/// Creates a run whose input is a number; its id.
pub(crate) async fn create(
    client: &Client,
    tenant: &str,
    number: usize,
    priority: i32,
) -> anyhow::Result<String> {
    let request = v1::CreateRunRequest {
        tenant: tenant.into(),
        agent: AGENT.into(),
        input: Some(json(number.to_string())),
        priority,
        ..v1::CreateRunRequest::default()
    };
    let created = client.runs().create_run(request).await.context("a run was refused")?;
    Ok(created.into_inner().id)
}

async fn publish(client: &Client, tenant: &str) -> anyhow::Result<()> {
    let document = format!("{{name: {AGENT}, kind: external, pool: {AGENT}}}");
    let request = v1::PublishVersionRequest { tenant: tenant.into(), document };
    let publish = || {
        let (mut agents, request) = (client.agents(), request.clone());
        async move { agents.publish_version(request).await }
    };
    client.retry(publish).await.context("the agent cannot be published")?;
    Ok(())
}
