//! Tenants, agents, versions, aliases; idempotency keys and artifacts.

use serde::Deserialize;
use tenure_core::agent::{Agent, Alias, AliasTarget, Artifact, Tenant, Version};
use tenure_core::allowance::{Allowance, Estimate, Standing};
use tenure_core::{AgentId, ArtifactId, Budget, RunId, TenantId, Usage};

use super::{Columns, Reader};
use crate::{ArtifactRow, Result, RunKey};

impl<R: Columns> Reader<'_, R> {
    pub(crate) fn tenant(&self) -> Result<Tenant> {
        Ok(Tenant {
            id: TenantId::new(self.id("tenant_id")?),
            name: self.name("name")?,
            max_running: self.small_if("max_running")?,
            policy: self.text_if("policy")?,
            metered: self.flag("metered")?,
            created_at: self.time("created_at")?,
        })
    }

    /// An allowance with how it stands.
    pub(crate) fn standing(&self) -> Result<Standing> {
        let agent = self.id("agent_id")?;
        let allowance = Allowance {
            tenant: TenantId::new(self.id("tenant_id")?),
            agent: (!agent.is_nil()).then(|| AgentId::new(agent)),
            period: self.good("period", self.text("period")?.parse())?,
            budget: Budget {
                cost_micros: self.count_if("most_cost")?,
                tokens: self.count_if("most_tokens")?,
                tool_calls: self.count_if("most_tool_calls")?,
            },
        };
        let spent = Usage {
            unpriced: self.int("unpriced")? > 0,
            tool_calls: self.count("tool_calls")?,
            ..self.usage(String::new())?
        };
        let (held_cost, tokens) = (self.count("held_cost")?, self.count("held_tokens")?);
        let held = Estimate { cost_micros: Some(held_cost), tokens };
        Ok(Standing { allowance, spent, held })
    }

    pub(crate) fn agent(&self) -> Result<Agent> {
        Ok(Agent {
            id: AgentId::new(self.id("agent_id")?),
            tenant: TenantId::new(self.id("tenant_id")?),
            name: self.name("name")?,
            latest: self.small("latest")?,
            max_running: self.small_if("max_running")?,
            created_at: self.time("created_at")?,
        })
    }

    pub(crate) fn version(&self) -> Result<Version> {
        Ok(Version {
            agent: AgentId::new(self.id("agent_id")?),
            number: self.small("number")?,
            digest: self.digest("digest")?,
            pool: self.name("pool")?,
            spec: self.bytes("spec")?.into(),
            created_at: self.time("created_at")?,
        })
    }

    pub(crate) fn alias(&self) -> Result<Alias> {
        #[derive(Deserialize)]
        struct Target {
            version: u32,
            weight: u32,
        }
        let targets: Vec<Target> = self.json("targets")?;
        let targets = targets
            .into_iter()
            .map(|target| AliasTarget { version: target.version, weight: target.weight })
            .collect();
        let agent = AgentId::new(self.id("agent_id")?);
        self.good("targets", Alias::new(agent, self.name("name")?, targets))
    }

    pub(crate) fn run_key(&self) -> Result<RunKey> {
        Ok(RunKey {
            tenant: TenantId::new(self.id("tenant_id")?),
            key: self.text("key")?,
            digest: self.digest("digest")?,
            run: RunId::new(self.id("run_id")?),
        })
    }

    pub(crate) fn artifact(&self) -> Result<Artifact> {
        let data = self.bytes("payload")?.into();
        Ok(Artifact { data, ..self.artifact_row()?.artifact })
    }

    pub(crate) fn artifact_row(&self) -> Result<ArtifactRow> {
        let artifact = Artifact {
            id: ArtifactId::new(self.id("artifact_id")?),
            run: RunId::new(self.id("run_id")?),
            name: self.text("name")?,
            content_type: self.text("content_type")?,
            digest: self.digest("digest")?,
            data: bytes::Bytes::new(),
            created_at: self.time("created_at")?,
        };
        Ok(ArtifactRow { artifact, size: self.count("size")? })
    }
}
