//! What stands in a column as JSON: parts that are written and read as a whole and never searched.
//!
//! Payloads and failures are no part of it: they have columns, so that SQL can count and copy them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tenure_core::wait::{Call, Opening, Question};
use tenure_core::{Budget, Decision, Key, Name, Payload, QuestionKind, RunId, Steering, Usage};

use crate::columns::micros;

/// `journal.opening`: what an entry opens, without the payload of the question or call.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum OpeningDocument {
    Started,
    Again,
    Interrupt {
        kind: String,
        title: String,
        schema: String,
        decisions: Vec<String>,
        assignee: String,
        timeout_micros: Option<i64>,
        default: Option<String>,
    },
    Child {
        agent: String,
        version: String,
        detached: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        budget: Option<BudgetDocument>,
    },
}

impl OpeningDocument {
    pub(crate) fn of(opening: &Opening) -> Self {
        match opening {
            Opening::Started => Self::Started,
            Opening::Again => Self::Again,
            Opening::Interrupt(question) => Self::Interrupt {
                kind: question.kind.as_str().into(),
                title: question.title.clone(),
                schema: question.schema.clone(),
                decisions: words(&question.decisions),
                assignee: question.assignee.clone(),
                timeout_micros: question.timeout.map(micros),
                default: question.default.map(|default| default.as_str().into()),
            },
            Opening::Child(call) => Self::Child {
                agent: call.agent.to_string(),
                version: call.version.clone(),
                detached: call.detached,
                budget: BudgetDocument::of(&call.budget),
            },
        }
    }

    /// What it stands for; `payload` is the question's or the input of the call.
    pub(crate) fn opening(self, payload: Payload) -> Result<Opening, String> {
        Ok(match self {
            Self::Started => Opening::Started,
            Self::Again => Opening::Again,
            Self::Interrupt {
                kind,
                title,
                schema,
                decisions,
                assignee,
                timeout_micros,
                default,
            } => Opening::Interrupt(Box::new(Question {
                kind: question_kind(&kind)?,
                title,
                payload,
                schema,
                decisions: self::decisions(&decisions)?,
                assignee,
                timeout: timeout_micros.map(duration).transpose()?,
                default: default.map(|word| decision(&word)).transpose()?,
            })),
            Self::Child { agent, version, detached, budget } => {
                let budget = BudgetDocument::budget(budget.as_ref());
                Opening::Child(Box::new(call(&agent, version, payload, detached, budget)?))
            }
        })
    }
}

/// `outbox.detail` of a call.
#[derive(Serialize, Deserialize)]
pub(crate) struct CallDocument {
    pub key: String,
    agent: String,
    version: String,
    detached: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    budget: Option<BudgetDocument>,
}

impl CallDocument {
    pub(crate) fn of(key: &Key, call: &Call) -> Self {
        let (agent, version) = (call.agent.to_string(), call.version.clone());
        let budget = BudgetDocument::of(&call.budget);
        Self { key: key.to_string(), agent, version, detached: call.detached, budget }
    }

    pub(crate) fn call(self, input: Payload) -> Result<Call, String> {
        let budget = BudgetDocument::budget(self.budget.as_ref());
        call(&self.agent, self.version, input, self.detached, budget)
    }
}

/// `outbox.detail` of the end of a called run.
#[derive(Serialize, Deserialize)]
pub(crate) struct EndedDocument {
    parent: String,
    pub key: String,
    #[serde(default)]
    usage: UsageDocument,
}

impl EndedDocument {
    pub(crate) fn of(parent: RunId, key: &Key, usage: &Usage) -> Self {
        let usage = UsageDocument::of(usage);
        Self { parent: parent.to_string(), key: key.to_string(), usage }
    }

    pub(crate) fn usage(&self) -> Usage {
        self.usage.usage()
    }

    pub(crate) fn parent(&self) -> Result<RunId, String> {
        self.parent.parse().map_err(|error: tenure_core::Error| error.to_string())
    }
}

/// `outbox.detail` of the end of a caller.
#[derive(Serialize, Deserialize)]
pub(crate) struct SteeringDocument {
    actor: String,
    reason: String,
}

impl SteeringDocument {
    pub(crate) fn of(steering: &Steering) -> Self {
        Self { actor: steering.actor.clone(), reason: steering.reason.clone() }
    }

    pub(crate) fn steering(self) -> Steering {
        Steering { actor: self.actor, reason: self.reason }
    }
}

/// `outbox.detail` of what concerns the turn of a concurrency key.
#[derive(Serialize, Deserialize)]
pub(crate) struct TurnDocument {
    pub key: String,
}

/// `runs.budget`, and what a call hands down; what bounds nothing is no document.
#[derive(Serialize, Deserialize)]
pub(crate) struct BudgetDocument {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cost_micros: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tool_calls: Option<u64>,
}

impl BudgetDocument {
    pub(crate) fn of(budget: &Budget) -> Option<Self> {
        let Budget { cost_micros, tokens, tool_calls } = *budget;
        (!budget.is_unlimited()).then_some(Self { cost_micros, tokens, tool_calls })
    }

    pub(crate) fn budget(document: Option<&Self>) -> Budget {
        let budget = |document: &Self| {
            let Self { cost_micros, tokens, tool_calls } = *document;
            Budget { cost_micros, tokens, tool_calls }
        };
        document.map(budget).unwrap_or_default()
    }
}

/// `runs.called` and `inbox.usage`: a sum of what called runs have used.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct UsageDocument {
    input_tokens: u64,
    output_tokens: u64,
    cached_tokens: u64,
    reasoning_tokens: u64,
    cost_micros: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unpriced: bool,
    tool_calls: u64,
}

impl UsageDocument {
    pub(crate) fn of(usage: &Usage) -> Self {
        Self {
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cached_tokens: usage.cached_tokens,
            reasoning_tokens: usage.reasoning_tokens,
            cost_micros: usage.cost_micros,
            unpriced: usage.unpriced,
            tool_calls: usage.tool_calls,
        }
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage {
            model: String::new(),
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            cached_tokens: self.cached_tokens,
            reasoning_tokens: self.reasoning_tokens,
            cost_micros: self.cost_micros,
            unpriced: self.unpriced,
            tool_calls: self.tool_calls,
        }
    }
}

/// The text of a document. All of them are maps of strings, numbers and lists, which JSON can say.
pub(crate) fn text(document: &impl Serialize) -> String {
    serde_json::json!(document).to_string()
}

/// The words of decisions.
pub(crate) fn words(decisions: &[Decision]) -> Vec<String> {
    decisions.iter().map(|decision| decision.as_str().to_owned()).collect()
}

/// The decisions with these words.
pub(crate) fn decisions(words: &[String]) -> Result<Vec<Decision>, String> {
    words.iter().map(|word| decision(word)).collect()
}

pub(crate) fn decision(word: &str) -> Result<Decision, String> {
    Decision::parse(word).ok_or_else(|| format!("`{word}` is no decision"))
}

pub(crate) fn question_kind(word: &str) -> Result<QuestionKind, String> {
    QuestionKind::parse(word).ok_or_else(|| format!("`{word}` is no kind of question"))
}

pub(crate) fn duration(micros: i64) -> Result<Duration, String> {
    let micros = u64::try_from(micros).map_err(|_| format!("{micros} µs is no duration"))?;
    Ok(Duration::from_micros(micros))
}

fn call(
    agent: &str,
    version: String,
    input: Payload,
    detached: bool,
    budget: Budget,
) -> Result<Call, String> {
    let agent = agent.parse::<Name>().map_err(|error| error.to_string())?;
    Ok(Call { agent, version, input, detached, budget })
}
