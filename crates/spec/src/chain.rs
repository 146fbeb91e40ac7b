//! Task chains of contenox, compiled to graphs as their users wrote them.
//!
//! A chain is `{id, tasks: […]}`, also inside the request `{input, inputType, chain}`. As in its home,
//! the case of field names does not matter. What Tenure does otherwise is in `docs/compatibility.md`.
//! Features of later versions load with a warning; a task that cannot be executed without them becomes
//! a node that fails and says so.

mod branch;
mod config;
mod duration;
mod later;
mod loose;
mod task;

use serde_json::Value;

use crate::data::DataType;
use crate::graph::{self, Finding, Graph, Input, Place};
use crate::limits::Limits;
use crate::node::Node;
use crate::problems::Problem;
use crate::spec::Spec;
use crate::suggest;

use loose::Loose;
use task::Task;

/// Visits of a node in a loop: its home knows no bound, so it is the widest there is.
const VISITS: u32 = 1_000;

/// Whether a document is a chain, or a request that holds one.
pub(crate) fn is_chain(value: &Value) -> bool {
    let has = |name: &str| {
        value.as_object().is_some_and(|map| map.keys().any(|key| key.eq_ignore_ascii_case(name)))
    };
    has("chain") || (has("tasks") && !has("kind"))
}

/// What a chain comes to, with warnings for what is not taken over. Problems are noted at the
/// places that the author knows.
pub(crate) fn read(at: &Node<'_>, warnings: &mut Vec<Problem>) -> Option<Spec> {
    let request = Loose::read(at)?;
    let Some(chain) = request.get("chain") else {
        return compile(&request, Input::default(), warnings);
    };
    let input = Input {
        kind: request.get("inputType").and_then(|at| read_type(&at)),
        default: request.get("input").map(|at| at.value.clone()),
    };
    compile(&Loose::read(&chain)?, input, warnings)
}

fn read_type(at: &Node<'_>) -> Option<DataType> {
    let name = at.text(usize::MAX)?;
    if let Some(kind) = DataType::named(&name) {
        return Some(kind);
    }
    let names = DataType::ALL.map(DataType::name);
    at.problem(
        format!("unknown data type `{}`", suggest::shown(&name)),
        suggest::hint(&name, &names),
    )
}

fn compile(chain: &Loose<'_>, input: Input, warnings: &mut Vec<Problem>) -> Option<Spec> {
    chain.ignored(&["id", "debug", "description", "token_limit", "tasks", "$schema"], warnings);
    let hint = "write at least one task";
    let tasks = match chain.get("tasks") {
        Some(at) if at.value.as_array().is_some_and(|tasks| !tasks.is_empty()) => at,
        Some(at) => return at.problem("has no tasks", hint),
        None => return chain.at().field("tasks", &Value::Null).problem("is missing", hint),
    };
    let mut read = tasks.list(|at| Some(task::read(at, warnings)))?;
    drop_repeated(&mut read, warnings);
    let mut graph = Graph {
        input,
        nodes: read.iter().map(|task| task.node.clone()).collect(),
        token_limit: chain.get("token_limit").and_then(|at| read_limit(&at)),
        debug: chain.get("debug").and_then(|at| at.truth()).unwrap_or_default(),
    };
    bound(&mut graph, &read, warnings);
    for finding in graph::check(&graph) {
        note(&finding, &read, &tasks);
    }
    Some(Spec {
        description: chain.get("description").and_then(|at| loose::line(&at)),
        limits: Limits { turns: VISITS, ..Limits::default() },
        ..Spec::of_graph(read_name(chain, warnings)?, graph)
    })
}

/// Zero and less are no limit.
fn read_limit(at: &Node<'_>) -> Option<u64> {
    match at.value.as_i64() {
        Some(limit) => u64::try_from(limit).ok().filter(|limit| *limit > 0),
        None => at.problem("must be a whole number", "write a number of tokens"),
    }
}

/// A second task of a name cannot be reached, so the first one counts.
fn drop_repeated(tasks: &mut Vec<Task<'_>>, warnings: &mut Vec<Problem>) {
    let names: Vec<String> = tasks.iter().map(|task| task.node.name.clone()).collect();
    let mut place = 0;
    tasks.retain(|task| {
        let first = names[..place].iter().all(|name| *name != names[place]);
        if !first && !names[place].is_empty() {
            warnings.push(task.at.field("id", task.at.value).warning(
                "is taken by a task above, so this one can never be reached and is left out",
                "give it an id of its own",
            ));
        }
        place += 1;
        first || task.node.name.is_empty()
    });
}

/// Every loop gets a bound.
fn bound(graph: &mut Graph, tasks: &[Task<'_>], warnings: &mut Vec<Problem>) {
    for way in graph::in_loops(graph) {
        graph.nodes[way[0]].visits = Some(VISITS);
        warnings.push(tasks[way[0]].at.warning(
            format!("is in a loop without a bound; a run comes here at most {VISITS} times"),
            "write a graph of your own for another bound",
        ));
    }
}

/// Notes what is wrong with the graph at the place of the chain that it comes from.
fn note(finding: &Finding, tasks: &[Task<'_>], list: &Node<'_>) {
    let Some(task) = tasks.get(finding.node) else {
        return finding.note(list);
    };
    let field = |name| task.at.field(name, task.at.value);
    finding.note(&match &finding.place {
        Place::List => list.clone(),
        Place::Whole | Place::Do(_) => task.at.clone(),
        Place::Name => field("id"),
        Place::Input => field("input_var"),
        Place::Template => field("prompt_template"),
        Place::Compose => field("compose").field("with_var", task.at.value),
        Place::Print => field("print"),
        Place::Next => field("transition").field("branches", task.at.value),
        Place::To(place) => {
            let branches = field("transition").field("branches", task.at.value);
            let branch = task.branches.get(*place).copied().unwrap_or(*place);
            branches.element(branch, task.at.value).field("goto", task.at.value)
        }
        Place::OnFailure => field("transition").field("on_failure", task.at.value),
    });
}

/// The agent's name: the chain's id, as far as a name can be like it.
fn read_name(chain: &Loose<'_>, warnings: &mut Vec<Problem>) -> Option<String> {
    let Some(at) = chain.get("id") else {
        let at = chain.at().field("id", &Value::Null);
        return at.problem("is missing", "give the chain an id, which becomes the agent's name");
    };
    let id = at.text(usize::MAX)?;
    let named = name_of(&id);
    if named.is_empty() {
        return at.problem("cannot be made a name", "use letters, digits, `.`, `_` and `-`");
    }
    if named != id {
        let message = format!("is no name of an agent; the agent is called `{named}`");
        warnings.push(at.warning(message, "use a-z, 0-9, `.`, `_` and `-`"));
    }
    Some(named)
}

fn name_of(id: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = id.chars().take(crate::bounds::MAX_NAME).map(fit).collect();
    name.to_ascii_lowercase().trim_matches(|c: char| !c.is_ascii_alphanumeric()).into()
}
