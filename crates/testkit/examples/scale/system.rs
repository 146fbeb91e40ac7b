//! A system: a database, a control plane on it, and what clients ask of that.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use tenure_sdk::{Client, v1};

use crate::control_plane::ControlPlane;
use crate::hand::{Hand, json};
use tenure_testkit::databases::Database;

/// The agent of all runs, and the pool that they wait in.
pub(crate) const AGENT: &str = "scale";
/// The tenant that has many runs.
pub(crate) const CROWD: &str = "crowd";
/// The tenant that has one at a time.
pub(crate) const ONE: &str = "one";

/// A control plane with its database.
pub(crate) struct System {
    pub(crate) database: Database,
    pub(crate) client: Client,
    control_plane: ControlPlane,
}

impl System {
    /// Starts a control plane on a database and makes the agent known to both tenants.
    pub(crate) async fn start(database: Database, logs: &Path) -> anyhow::Result<Self> {
        let log = logs.join(format!("{}.log", database.name));
        let control_plane = ControlPlane::start(&database.url, &log).await?;
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
        self.control_plane.stop().await?;
        Ok(self.database)
    }

    /// The process of the control plane.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.control_plane.pid()
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
