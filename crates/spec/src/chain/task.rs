//! Tasks: what becomes a node.

use super::loose::{self, Loose};
use super::{branch, config, duration, later};
use crate::bounds::{ATTEMPTS, MAX_NAME};
use crate::graph::{
    Action, Chat, Compose, END, Embed, GraphNode, Hook, OpenaiResponse, Parse, Prompt, Strategy,
    Transition, read_condition,
};
use crate::limits::Retry;
use crate::node::Node;
use crate::problems::Problem;
use crate::span::Span;
use crate::suggest;

/// A node and where it comes from.
pub(super) struct Task<'a> {
    pub(super) node: GraphNode,
    pub(super) at: Node<'a>,
    /// For each transition the place of its branch.
    pub(super) branches: Vec<usize>,
}

const FIELDS: [&str; 17] = [
    "id",
    "description",
    "handler",
    "system_instruction",
    "systemInstruction",
    "prompt_template",
    "output_template",
    "input_var",
    "input_max_bytes",
    "valid_conditions",
    "execute_config",
    "hook",
    "tools",
    "compose",
    "print",
    "timeout",
    "transition",
];
const RETRY: &str = "retry_on_failure";

/// The handlers, each with the name that later versions gave it.
const HANDLERS: [&str; 18] = [
    "raw_string",
    "prompt_to_string",
    "condition_key",
    "prompt_to_condition",
    "parse_number",
    "prompt_to_int",
    "parse_score",
    "prompt_to_float",
    "parse_range",
    "prompt_to_range",
    "embedding",
    "text_to_embedding",
    "model_execution",
    "chat_completion",
    "hook",
    "convert_to_openai_chat_response",
    "parse_transition",
    "raise_error",
];
const NOOP: &str = "noop";

/// Always a task, if only a hole: the others are checked against its place in the list.
pub(super) fn read<'a>(at: &Node<'a>, warnings: &mut Vec<Problem>) -> Task<'a> {
    let Some(fields) = Loose::read(at) else {
        return Task { node: GraphNode::default(), at: at.clone(), branches: Vec::new() };
    };
    let known: Vec<&str> = FIELDS.into_iter().chain([RETRY]).collect();
    fields.ignored(&known, warnings);
    let (action, template) = read_action(&fields, warnings);
    let (next, branches) = read_branches(&fields, &action, warnings);
    let transition = fields.get("transition").and_then(|at| Loose::read(&at));
    let node = GraphNode {
        name: read_name(&fields),
        description: fields.get("description").and_then(|at| loose::line(&at)),
        action,
        input: fields.filled("input_var"),
        template,
        compose: fields.get("compose").and_then(|at| read_compose(&at)),
        print: fields.filled("print"),
        timeout: read_timeout(&fields),
        retry: Some(read_retry(&fields, warnings)),
        visits: None,
        next,
        on_failure: transition.and_then(|transition| transition.filled("on_failure")),
    };
    Task { node, at: at.clone(), branches }
}

fn read_name(fields: &Loose<'_>) -> String {
    let at = fields.get("id").unwrap_or_else(|| fields.at().field("id", fields.at().value));
    if fields.get("id").is_none() {
        at.problem::<()>("is missing", "give the task an id");
        return String::new();
    }
    at.filled_text(MAX_NAME).unwrap_or_default()
}

fn read_timeout(fields: &Loose<'_>) -> Option<Span> {
    fields.get("timeout").filter(|at| at.value != "").and_then(|at| duration::read(&at))
}

/// As many attempts more, at once.
fn read_retry(fields: &Loose<'_>, warnings: &mut Vec<Problem>) -> Retry {
    let at = fields.get(RETRY);
    let more = at.as_ref().and_then(|at| match at.value.as_i64() {
        Some(more) => Some(u64::try_from(more).unwrap_or_default()),
        None => at.problem("must be a whole number", "write how many attempts more, such as `2`"),
    });
    let attempts = more.unwrap_or_default().saturating_add(1);
    if let Some(at) = at.filter(|_| !ATTEMPTS.contains(&attempts)) {
        let message =
            format!("is more than there may be; the task is tried {} times", ATTEMPTS.end());
        warnings.push(at.warning(message, "more would hide an outage instead of riding it out"));
    }
    let attempts = u32::try_from(attempts.min(*ATTEMPTS.end())).unwrap_or(1);
    Retry { attempts, backoff: Span::default(), max_backoff: Span::default() }
}

/// Without a transition the chain ends here, as in later versions.
fn read_branches(
    fields: &Loose<'_>,
    action: &Action,
    warnings: &mut Vec<Problem>,
) -> (Vec<Transition>, Vec<usize>) {
    if *action == Action::Fail {
        return (Vec::new(), Vec::new());
    }
    let Some(at) = fields.get("transition") else {
        let message = "has no transition: the chain ends here, as in later versions of contenox";
        let hint = "write one that leads to `end`";
        warnings.push(fields.at().warning(message, hint));
        return (vec![Transition::always(END)], vec![0]);
    };
    let branches = Loose::read(&at).and_then(|transition| transition.get("branches"));
    let placed = branches.map(|list| branch::read(&list, warnings)).unwrap_or_default();
    placed.into_iter().unzip()
}

fn read_compose(at: &Node<'_>) -> Option<Compose> {
    let compose = Loose::read(at)?;
    let strategy = compose.get("strategy").filter(|at| at.value != "");
    Some(Compose {
        with: compose.text("with_var"),
        strategy: strategy.and_then(|at| at.choice("strategy", &Strategy::ALL)),
    })
}

/// What the task does, and its template.
fn read_action(fields: &Loose<'_>, warnings: &mut Vec<Problem>) -> (Action, Option<String>) {
    let template = fields.filled("prompt_template");
    if template.as_deref().is_some_and(later::has_macro) {
        return later::instead(fields.at(), "a macro in `prompt_template`", warnings);
    }
    if let Some(feature) = needed(fields) {
        return later::instead(fields.at(), &feature, warnings);
    }
    if fields.get("input_max_bytes").is_some() {
        warnings.push(later::passed_over(fields.at(), "`input_max_bytes`"));
    }
    (read_handler(fields, warnings).unwrap_or_default(), template)
}

/// A feature of later versions without which the task would do something else.
fn needed(fields: &Loose<'_>) -> Option<String> {
    let handler = fields.text("handler");
    if later::is_handler(&handler) {
        return Some(format!("the handler `{handler}`"));
    }
    let hook = fields.get("hook").and_then(|at| Loose::read(&at));
    if hook.is_some_and(|hook| hook.get("tool_name").is_some()) {
        return Some("`hook.tool_name`".into());
    }
    let transition = fields.get("transition").and_then(|at| Loose::read(&at));
    let branches = transition.and_then(|transition| transition.get("branches"));
    let composes = branches.and_then(|at| at.value.as_array()).is_some_and(|branches| {
        branches
            .iter()
            .any(|branch| branch.get("compose").is_some_and(|compose| !compose.is_null()))
    });
    if composes {
        return Some("`compose` of a branch".into());
    }
    fields.filled("output_template").map(|_| "`output_template`".into())
}

fn read_handler(fields: &Loose<'_>, warnings: &mut Vec<Problem>) -> Option<Action> {
    let name = fields.text("handler");
    let prompt = |parse, warnings| Action::Prompt(read_prompt(fields, parse, warnings));
    Some(match name.as_str() {
        "raw_string" | "prompt_to_string" => prompt(Parse::Text, warnings),
        "parse_number" | "prompt_to_int" => prompt(Parse::Number, warnings),
        "parse_score" | "prompt_to_float" => prompt(Parse::Score, warnings),
        "parse_range" | "prompt_to_range" => prompt(Parse::Range, warnings),
        "condition_key" | "prompt_to_condition" => {
            prompt(Parse::Condition(read_conditions(fields)?), warnings)
        }
        "embedding" | "text_to_embedding" => {
            Action::Embed(Embed { model: config::read(fields, warnings) })
        }
        "model_execution" | "chat_completion" => Action::Chat(Chat {
            system: read_system(fields, warnings),
            model: config::read(fields, warnings),
        }),
        "hook" => Action::Hook(read_hook(fields)?),
        "convert_to_openai_chat_response" => Action::OpenaiResponse(OpenaiResponse {
            model: config::read(fields, warnings).names.into_iter().next(),
        }),
        "parse_transition" => Action::Command,
        "raise_error" => Action::Fail,
        NOOP => Action::Pass,
        other => return unknown(fields, other),
    })
}

fn unknown(fields: &Loose<'_>, name: &str) -> Option<Action> {
    let at = fields.at().field("handler", fields.at().value);
    if name.is_empty() {
        return at.problem("is missing", "say what the task does, such as `raw_string`");
    }
    let known: Vec<&str> = HANDLERS.into_iter().chain([NOOP]).collect();
    at.problem(format!("unknown handler `{}`", suggest::shown(name)), suggest::hint(name, &known))
}

fn read_prompt(fields: &Loose<'_>, parse: Parse, warnings: &mut Vec<Problem>) -> Prompt {
    let model = config::read(fields, warnings);
    Prompt { system: read_system(fields, warnings), model, parse }
}

/// `systemInstruction` is how the first page of contenox's own manual writes it.
fn read_system(fields: &Loose<'_>, warnings: &mut Vec<Problem>) -> String {
    let written = fields.filled("system_instruction");
    let system = written.or_else(|| fields.filled("systemInstruction")).unwrap_or_default();
    if later::has_macro(&system) {
        warnings.push(later::passed_over(fields.at(), "a macro in `system_instruction`"));
    }
    system
}

fn read_conditions(fields: &Loose<'_>) -> Option<std::collections::BTreeMap<String, bool>> {
    if let Some(at) = fields.get("valid_conditions") {
        return read_condition(&at);
    }
    let at = fields.at().field("valid_conditions", fields.at().value);
    at.problem("is missing", "list the replies, such as `{\"yes\": true, \"no\": false}`")
}

fn read_hook(fields: &Loose<'_>) -> Option<Hook> {
    let Some(at) = fields.get("hook") else {
        let at = fields.at().field("hook", fields.at().value);
        return at.problem("is missing", "name the hook, such as `{\"name\": \"mailer\"}`");
    };
    let hook = Loose::read(&at)?;
    let Some(name) = hook.get("name") else {
        return at.field("name", at.value).problem("is missing", "name the hook");
    };
    let args = hook.get("args").and_then(|at| at.map(|at| at.text(usize::MAX)));
    Some(Hook { name: name.filled_text(MAX_NAME)?, args: args.unwrap_or_default() })
}
