//! Policies: which calls of tools may be made, which a person is asked about, which are refused.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bounds::{MAX_LINE, MAX_NAME, MAX_RULES, MAX_TOOL_NAME};
use crate::expression::{self, Expression};
use crate::node::Node;
use crate::span::Span;

/// Which calls of tools may be made. The rules are looked at in their order, and the first that fits
/// decides. A worker and a tenant may have a policy too: then the strictest of the verdicts counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Whether the verdicts count, or are only written to the journal.
    pub mode: Mode,
    /// The verdict on a call that no rule fits.
    pub default: Verdict,
    /// The rules.
    #[schemars(length(max = MAX_RULES))]
    pub rules: Vec<Rule>,
}

/// One rule of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Names of tools that it is about; `*` stands for any characters. Without it, all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_RULES))]
    pub tools: Vec<String>,
    /// A condition in CEL on `tool` (its name), `effect` (`read`, `idempotent` or `once`), `args`
    /// (what it is called with) and `agent` (the agent's name). One that cannot be told, for instance
    /// because an argument is not there, counts as met by a rule that asks or denies, and as not met
    /// by one that allows. Without it the rule fits every call of its tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub when: Option<String>,
    /// The verdict.
    pub then: Verdict,
    /// Why, told to whoever is asked, or to the model that is refused. At most 2000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = MAX_LINE))]
    pub reason: Option<String>,
    /// Who is asked, such as `ann@example.com` or `role:lead`; anybody unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = MAX_NAME))]
    pub assignee: Option<String>,
    /// How long there is time to answer; then the call is refused. Without it, for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Span")]
    pub timeout: Option<Span>,
}

/// What becomes of a call; the later ones are stricter.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is made.
    #[default]
    Allow,
    /// A person is asked, and may change its arguments.
    Ask,
    /// It is refused, and the model is told so.
    Deny,
}

/// Whether verdicts count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// They do.
    #[default]
    Enforce,
    /// They are written to the journal, and every call is made.
    DryRun,
}

/// A call of a tool that a policy decides about.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The tool's name.
    pub tool: &'a str,
    /// The name of its effect.
    pub effect: &'a str,
    /// What it is called with.
    pub arguments: &'a Value,
    /// The agent's name.
    pub agent: &'a str,
}

/// What a policy says about a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling<'a> {
    /// What becomes of it.
    pub verdict: Verdict,
    /// The rule that fits, counted from 0; none if the default decides.
    pub rule: Option<usize>,
    /// The rule itself.
    pub by: Option<&'a Rule>,
}

const VARIABLES: [&str; 4] = ["tool", "effect", "args", "agent"];
const VERDICTS: [(&str, Verdict); 3] =
    [("allow", Verdict::Allow), ("ask", Verdict::Ask), ("deny", Verdict::Deny)];

impl Policy {
    /// What is to become of a call, by this policy alone.
    pub fn decide(&self, call: &Call<'_>) -> Ruling<'_> {
        let fits = |(place, rule): (usize, &_)| Rule::fits(rule, call).then_some(place);
        let rule = self.rules.iter().enumerate().find_map(fits);
        let by = rule.and_then(|place| self.rules.get(place));
        Ruling { verdict: by.map_or(self.default, |rule| rule.then), rule, by }
    }

    pub(crate) fn read(at: &Node<'_>) -> Option<Self> {
        let fields = at.fields(&["mode", "default", "rules"])?;
        let modes = [("enforce", Mode::Enforce), ("dry_run", Mode::DryRun)];
        let verdict = fields.read("default", |at| at.choice("verdict", &VERDICTS));
        Some(Self {
            mode: fields.read("mode", |at| at.choice("mode", &modes)).unwrap_or_default(),
            default: verdict.unwrap_or_default(),
            rules: fields.read("rules", |at| at.few(MAX_RULES, Rule::read)).unwrap_or_default(),
        })
    }
}

impl Rule {
    fn fits(&self, call: &Call<'_>) -> bool {
        let named = self.tools.is_empty() || self.tools.iter().any(|tool| matches(tool, call.tool));
        named && self.when.as_deref().is_none_or(|when| self.holds(when, call))
    }

    fn holds(&self, when: &str, call: &Call<'_>) -> bool {
        let variables = [
            ("tool", call.tool.into()),
            ("effect", call.effect.into()),
            ("args", call.arguments.clone()),
            ("agent", call.agent.into()),
        ];
        let truth = Expression::read(when).and_then(|condition| condition.holds(&variables));
        truth.unwrap_or(self.then > Verdict::Allow)
    }

    fn read(at: &Node<'_>) -> Option<Self> {
        let fields = at.fields(&["tools", "when", "then", "reason", "assignee", "timeout"])?;
        let pattern = |at: &Node<'_>| at.filled_text(MAX_TOOL_NAME);
        let tools = fields.read("tools", |at| at.few(MAX_RULES, pattern));
        let when = fields.read("when", |at| expression::read(at, &VARIABLES));
        let hint = "say what is to become of the call: `allow`, `ask` or `deny`";
        let then = fields.required("then", hint, |at| at.choice("verdict", &VERDICTS));
        Some(Self {
            tools: tools.unwrap_or_default(),
            when,
            then: then?,
            reason: fields.read("reason", |at| at.filled_text(MAX_LINE)),
            assignee: fields.read("assignee", |at| at.filled_text(MAX_NAME)),
            timeout: fields.read("timeout", Span::read_filled),
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = VERDICTS.iter().find(|(_, verdict)| verdict == self).map(|(name, _)| *name);
        f.write_str(name.unwrap_or_default())
    }
}

/// Whether a name fits a pattern, in which `*` stands for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(place) = rest.find(part) else { return false };
        rest = &rest[place + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(text: &str) -> Policy {
        let text = format!("name: a\nmodel: {{provider: openai, name: m}}\npolicy: {text}");
        crate::parse(&text).unwrap().policy.unwrap()
    }

    fn decide(policy: &Policy, tool: &str, arguments: &Value) -> (Verdict, Option<usize>) {
        let call = Call { tool, effect: "once", arguments, agent: "desk" };
        let ruling = policy.decide(&call);
        (ruling.verdict, ruling.rule)
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let policy = policy(
            "{default: deny, rules: [
               {tools: [refund], when: args.amount > 100, then: ask},
               {tools: [refund, 'read_*'], then: allow}]}",
        );
        for (tool, arguments, decided) in [
            ("refund", json!({"amount": 200}), (Verdict::Ask, Some(0))),
            ("refund", json!({"amount": 20}), (Verdict::Allow, Some(1))),
            ("read_file", json!({}), (Verdict::Allow, Some(1))),
            ("reads", json!({}), (Verdict::Deny, None)),
            // Nobody knows how much it is.
            ("refund", json!({"amount": "200"}), (Verdict::Ask, Some(0))),
            ("refund", json!({}), (Verdict::Ask, Some(0))),
        ] {
            assert_eq!(decide(&policy, tool, &arguments), decided, "{tool} {arguments}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_never_allowed_by_it() {
        let policy = policy("{default: ask, rules: [{when: \"args.to == 'ann'\", then: allow}]}");
        assert_eq!(decide(&policy, "send", &json!({"to": "ann"})), (Verdict::Allow, Some(0)));
        assert_eq!(decide(&policy, "send", &json!({"cc": "ann"})), (Verdict::Ask, None));
    }

    #[test]
    fn patterns_have_stars() {
        for (pattern, name, fits) in [
            ("*", "x", true),
            ("git_*", "git_push", true),
            ("*_file", "read_file", true),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("ab*ba", "aba", false),
            ("read", "read_file", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }
}
