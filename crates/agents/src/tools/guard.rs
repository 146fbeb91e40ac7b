//! The one place where calls of tools are allowed, asked about, or refused.
//!
//! What the policies say about a call is recorded before anything follows from it, so a replay comes
//! to the same, whatever has become of the policies:
//!
//! ```text
//! turn/1/call/0/policy            ask, by rule 1 of the agent's policy
//! turn/1/call/0/approve:refund    a person's answer
//! turn/1/call/0/tool:refund       the call, with the arguments that were approved
//! ```

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenure_sdk::{Approval, Context, Decision, EntryKind, Failure, Stop};
use tenure_spec::Policy;
use tenure_spec::policy::{Call, Mode, Ruling, Verdict};

use crate::model::Definition;
use crate::tenants::Tenants;

/// The policies that hold for an agent on a worker.
#[derive(Clone, Default)]
pub struct Guard {
    /// The agent's name.
    pub agent: String,
    /// Its own policy.
    pub own: Option<Policy>,
    /// The worker's, which no agent can loosen.
    pub ceiling: Option<Arc<Policy>>,
    /// Those of tenants, which no agent can loosen either.
    pub tenants: Arc<Tenants>,
}

/// What was decided about a call: what the journal keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Decided {
    /// What the tool does to the world.
    effect: String,
    verdict: Verdict,
    /// Who decided: `agent rule 1`, `worker default`, `tenant rule 0`.
    by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    assignee: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout: Option<Duration>,
    /// What the verdict would have been if every policy were enforced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dry_run: Option<Verdict>,
}

impl Guard {
    /// The arguments that a call may be made with: its own, or what a person made of them. A call
    /// that is refused is a failure, which is told to the model.
    pub(super) async fn admit(
        &self,
        ctx: &Context,
        guarded: bool,
        tool: &Definition,
        effect: &str,
        arguments: &Value,
    ) -> Result<Value, Stop> {
        if self.own.is_none() && self.ceiling.is_none() && !guarded {
            return Ok(arguments.clone());
        }
        let call = Call { tool: &tool.name, effect, arguments, agent: &self.agent };
        let decided = self.decide(ctx, &call).await?;
        match decided.verdict {
            Verdict::Allow => Ok(arguments.clone()),
            Verdict::Deny => Err(denied(&tool.name, &decided)),
            Verdict::Ask => {
                let approved = self.ask(ctx, tool, arguments, &decided).await?;
                if approved != *arguments {
                    let call = Call { arguments: &approved, ..call };
                    let again = self.decide(ctx, &call).await?;
                    // An edit is a person's word, but not above what nobody may do.
                    if again.verdict == Verdict::Deny {
                        return Err(denied(&tool.name, &again));
                    }
                }
                Ok(approved)
            }
        }
    }

    async fn decide(&self, ctx: &Context, call: &Call<'_>) -> Result<Decided, Stop> {
        let step = ctx.step("policy").kind(EntryKind::Marker).input(call.arguments);
        step.run(async |_| {
            let tenant = self.tenants.policy(ctx.client()).await?;
            Ok(self.decided(call, tenant.as_deref()))
        })
        .await
    }

    /// Whether a reply of a model that was given now has to be guarded though neither the agent nor
    /// the worker has a policy. Where that cannot be found out it has to be.
    pub async fn is_needed(&self, ctx: &Context) -> bool {
        self.tenants.policy(ctx.client()).await.map_or(true, |policy| policy.is_some())
    }

    fn decided(&self, call: &Call<'_>, tenant: Option<&Policy>) -> Decided {
        let policies =
            [("agent", self.own.as_ref()), ("worker", self.ceiling.as_deref()), ("tenant", tenant)];
        let mut strictest: Option<Decided> = None;
        let mut would = Verdict::Allow;
        for (whose, policy) in policies {
            let Some(policy) = policy else { continue };
            let ruling = policy.decide(call);
            would = would.max(ruling.verdict);
            let decided = Decided::of(whose, policy.mode, call, &ruling);
            if strictest.as_ref().is_none_or(|other| decided.verdict > other.verdict) {
                strictest = Some(decided);
            }
        }
        let decided = strictest.unwrap_or_else(|| Decided::nobody(call));
        let dry_run = (would > decided.verdict).then_some(would);
        Decided { dry_run, ..decided }
    }

    async fn ask(
        &self,
        ctx: &Context,
        tool: &Definition,
        arguments: &Value,
        decided: &Decided,
    ) -> Result<Value, Stop> {
        let (agent, name) = (&self.agent, &tool.name);
        let why = decided.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let mut question = ctx
            .interrupt(&format!("approve:{name}"))
            .title(format!("May `{agent}` call `{name}`{why}?"))
            .payload(arguments)
            .schema(&tool.parameters);
        if let Some(assignee) = &decided.assignee {
            question = question.assignee(assignee);
        }
        if let Some(timeout) = decided.timeout {
            question = question.timeout(timeout).default_to(Decision::Reject);
        }
        match question.approval().await? {
            Approval::Approved(arguments) => Ok(arguments),
            Approval::Rejected { reason, actor } => Err(rejected(name, &actor, &reason)),
            Approval::Responded(_) => Err(rejected(name, "", "it was answered instead")),
        }
    }
}

impl Decided {
    fn of(whose: &str, mode: Mode, call: &Call<'_>, ruling: &Ruling<'_>) -> Self {
        let place = ruling.rule.map_or_else(|| "default".into(), |rule| format!("rule {rule}"));
        let (rule, enforced) = (ruling.by, mode == Mode::Enforce);
        Self {
            effect: call.effect.into(),
            verdict: if enforced { ruling.verdict } else { Verdict::Allow },
            by: format!("{whose} {place}"),
            reason: rule.and_then(|rule| rule.reason.clone()),
            assignee: rule.and_then(|rule| rule.assignee.clone()),
            timeout: rule.and_then(|rule| rule.timeout).map(|span| span.0),
            dry_run: None,
        }
    }

    fn nobody(call: &Call<'_>) -> Self {
        let (effect, by) = (call.effect.into(), "nobody".into());
        let verdict = Verdict::Allow;
        Self { effect, verdict, by, reason: None, assignee: None, timeout: None, dry_run: None }
    }
}

fn denied(tool: &str, decided: &Decided) -> Stop {
    let why = decided.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let message = format!("tool `{tool}` may not be called so ({}){why}", decided.by);
    Stop::Failed(Failure::permanent("policy_denied", message))
}

fn rejected(tool: &str, actor: &str, reason: &str) -> Stop {
    let who = if actor.is_empty() { "nobody approved" } else { actor };
    let why = if reason.is_empty() { "no reason given" } else { reason };
    let message = format!("the call of tool `{tool}` was rejected by {who}: {why}");
    Stop::Failed(Failure::permanent("policy_rejected", message))
}
