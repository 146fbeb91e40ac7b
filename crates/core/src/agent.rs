//! Tenants, agents, versions and aliases: what runs are runs of.

use bytes::Bytes;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::id::{AgentId, ArtifactId, RunId, TenantId};
use crate::limits;
use crate::name::Name;
use crate::time::Timestamp;

/// The wall: everything else belongs to exactly one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its id, the first part of every key in storage.
    pub id: TenantId,
    /// Its name, unique in the installation, never changed.
    pub name: Name,
    /// How many of its runs may be leased at a time; `None` for any number.
    pub max_running: Option<u32>,
    /// What the tools of all its agents may do at most, as a document; `None` for anything.
    pub policy: Option<String>,
    /// Whether it, or one of its agents, has an [allowance](crate::allowance::Allowance).
    pub metered: bool,
    /// When it was created.
    pub created_at: Timestamp,
}

/// A named capability of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Its name, unique in the tenant, never changed.
    pub name: Name,
    /// The number of its newest version; 0 before the first.
    pub latest: u32,
    /// How many of its runs may be leased at a time; `None` for any number.
    pub max_running: Option<u32>,
    /// When it was created.
    pub created_at: Timestamp,
}

/// An immutable specification of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Whose version it is.
    pub agent: AgentId,
    /// 1, 2, 3…
    pub number: u32,
    /// SHA-256 of [`spec`](Self::spec): the same content twice is the same version.
    pub digest: Digest,
    /// The queue that its runs wait in.
    pub pool: Name,
    /// The canonical JSON of the specification.
    pub spec: Bytes,
    /// When it was published.
    pub created_at: Timestamp,
}

/// A name on an agent that points to versions, by weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The agent it is on.
    pub agent: AgentId,
    /// Its name, such as `stable`.
    pub name: Name,
    /// Where it points; never empty.
    pub targets: Vec<AliasTarget>,
}

/// A version that an alias points to, and how often compared with the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AliasTarget {
    /// The version's number.
    pub version: u32,
    /// Its share is this over the sum of all weights; at least 1.
    pub weight: u32,
}

impl Alias {
    /// An alias with targets that make sense: 1 to [`limits::ALIAS_TARGETS`], each version once,
    /// each weight at least 1.
    pub fn new(agent: AgentId, name: Name, targets: Vec<AliasTarget>) -> Result<Self> {
        if targets.is_empty() {
            return Err(Error::invalid(format!("alias `{name}` needs at least one version")));
        }
        if targets.len() > limits::ALIAS_TARGETS {
            let what = format!("the number of versions of alias `{name}`");
            return Err(Error::too_large(what, targets.len(), limits::ALIAS_TARGETS));
        }
        for (place, target) in targets.iter().enumerate() {
            let version = target.version;
            if target.weight == 0 {
                return Err(Error::invalid(format!(
                    "alias `{name}`: the weight of version {version} is 0; leave the version out instead"
                )));
            }
            if targets[..place].iter().any(|other| other.version == version) {
                return Err(Error::invalid(format!(
                    "alias `{name}` names version {version} twice"
                )));
            }
        }
        Ok(Self { agent, name, targets })
    }

    /// The version for a random number: each target is chosen in proportion to its weight.
    pub fn pick(&self, random: u64) -> u32 {
        let total: u64 = self.targets.iter().map(|target| u64::from(target.weight)).sum();
        let mut rest = random % total.max(1);
        for target in &self.targets {
            match rest.checked_sub(u64::from(target.weight)) {
                Some(less) => rest = less,
                None => return target.version,
            }
        }
        0
    }
}

/// A named blob that a run made, kept in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Its id.
    pub id: ArtifactId,
    /// The run that made it.
    pub run: RunId,
    /// Its name, unique in the run: the same name again replaces nothing but is refused, unless the
    /// content is the same.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// SHA-256 of the bytes.
    pub digest: Digest,
    /// The bytes.
    pub data: Bytes,
    /// When it was written.
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alias(targets: &[(u32, u32)]) -> Result<Alias> {
        let agent = AgentId::new(uuid::Uuid::nil());
        let targets = targets
            .iter()
            .map(|(version, weight)| AliasTarget { version: *version, weight: *weight });
        Alias::new(agent, "stable".parse().unwrap(), targets.collect())
    }

    #[test]
    fn an_alias_picks_in_proportion_to_weight() {
        let alias = alias(&[(7, 9), (8, 1)]).unwrap();
        let eights = (0..1000).filter(|random| alias.pick(*random) == 8).count();
        assert_eq!(eights, 100);
    }

    #[test]
    fn targets_that_make_no_sense_are_refused() {
        assert!(alias(&[]).is_err());
        assert!(alias(&[(1, 0)]).is_err());
        assert!(alias(&[(1, 1), (1, 2)]).is_err());
        assert!(alias(&[(1, 1); 17]).is_err());
    }
}
