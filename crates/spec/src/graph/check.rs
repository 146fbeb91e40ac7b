//! What only the whole graph shows: names that lead nowhere, loops without a bound, no end.

use std::collections::BTreeSet;

use super::action::Action;
use super::node::GraphNode;
use super::{END, Graph, paths};
use crate::bounds::{MAX_NODES, MAX_TRANSITIONS};
use crate::node::Node;
use crate::{suggest, template};

/// Something wrong with a graph. Whoever read the graph knows how its author calls the place.
pub(crate) struct Finding {
    /// Place of the node in the list.
    pub(crate) node: usize,
    /// What of the node.
    pub(crate) place: Place,
    message: String,
    hint: String,
}

/// A part of a node, or the list of them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    List,
    Whole,
    Name,
    Input,
    /// The field below `do` that these fields lead to.
    Do(Vec<String>),
    Template,
    Compose,
    Print,
    Next,
    To(usize),
    OnFailure,
}

impl Finding {
    /// Notes the problem where the author finds it.
    pub(crate) fn note(&self, at: &Node<'_>) {
        at.problem::<()>(self.message.as_str(), self.hint.as_str());
    }

    /// The place in a graph as its own documents write it, `nodes` being the list.
    pub(super) fn place<'a>(&self, nodes: &Node<'a>) -> Node<'a> {
        let node = nodes.element(self.node, nodes.value);
        let field = |name| node.field(name, nodes.value);
        match &self.place {
            Place::List => nodes.clone(),
            Place::Whole => node,
            Place::Name => field("name"),
            Place::Input => field("input"),
            Place::Template => field("template"),
            Place::Do(fields) => {
                fields.iter().fold(field("do"), |place, name| place.field(name, nodes.value))
            }
            Place::Compose => field("compose").field("with", nodes.value),
            Place::Print => field("print"),
            Place::Next => field("next"),
            Place::To(place) => field("next").element(*place, nodes.value).field("to", nodes.value),
            Place::OnFailure => field("on_failure"),
        }
    }
}

/// Everything that is wrong.
pub(crate) fn check(graph: &Graph) -> Vec<Finding> {
    let mut findings = Findings { node: 0, found: Vec::new() };
    findings.count(graph);
    findings.names(graph);
    let named = graph.nodes.iter().map(|node| node.name.as_str());
    let nodes: Vec<&str> = named.filter(|name| !name.is_empty()).collect();
    let variables = variables(graph);
    for (place, node) in graph.nodes.iter().enumerate() {
        findings.node = place;
        findings.variables(node, &variables);
        findings.templates(node);
        findings.ways(node, &nodes);
    }
    findings.loops(graph);
    findings.traps(graph);
    findings.found
}

/// All names of variables that there can be.
fn variables(graph: &Graph) -> Vec<String> {
    let given = ["input", "previous_output"].map(String::from);
    let named = graph.nodes.iter().filter(|node| !node.name.is_empty());
    let names = named.map(|node| node.name.clone());
    let composed = graph.nodes.iter().filter(|node| node.compose.is_some());
    let composed = composed.map(|node| format!("{}_composed", node.name));
    given.into_iter().chain(names).chain(composed).collect()
}

/// The variable that a path such as `search.found` begins with.
fn variable_of<'p>(path: &'p str, known: &[&str]) -> &'p str {
    if known.contains(&path) { path } else { path.split('.').next().unwrap_or(path) }
}

struct Findings {
    node: usize,
    found: Vec<Finding>,
}

impl Findings {
    fn add(&mut self, place: Place, message: impl Into<String>, hint: impl Into<String>) {
        let (message, hint) = (message.into(), hint.into());
        self.found.push(Finding { node: self.node, place, message, hint });
    }

    fn count(&mut self, graph: &Graph) {
        match graph.nodes.len() {
            0 => self.add(Place::List, "has no nodes", "write at least one"),
            count if count > MAX_NODES => {
                let message = format!("has {count} nodes, more than the {MAX_NODES} allowed");
                self.add(Place::List, message, "split the graph");
            }
            _ => {}
        }
    }

    fn names(&mut self, graph: &Graph) {
        let mut seen = BTreeSet::from(["input", "previous_output"]);
        for (place, node) in graph.nodes.iter().enumerate() {
            self.node = place;
            let name = node.name.as_str();
            if name == END {
                self.add(Place::Name, "`end` is where a run ends", "choose another name");
            } else if !name.is_empty() && !seen.insert(name) {
                let message = format!("the name `{}` is taken", suggest::shown(name));
                self.add(Place::Name, message, "give each node a name of its own");
            }
        }
    }

    fn variables(&mut self, node: &GraphNode, known: &[String]) {
        let with = node.compose.as_ref().map(|compose| &compose.with);
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        for (place, name) in [(Place::Input, node.input.as_ref()), (Place::Compose, with)] {
            self.variable(place, name, &known);
        }
        self.inner_variables(&node.action, &[], &known);
    }

    /// Those of the actions inside an action, `way` being the fields that lead to it.
    fn inner_variables(&mut self, action: &Action, way: &[&str], known: &[&str]) {
        let place = |fields: &[&str]| {
            Place::Do([way, fields].concat().into_iter().map(suggest::shown).collect())
        };
        match action {
            Action::Map(map) => {
                let there = |over: &&String| known.contains(&variable_of(over, known));
                let over = map.over.as_ref().filter(|over| !there(over));
                self.variable(place(&["map", "over"]), over, known);
            }
            Action::Parallel(fan) => {
                for (name, branch) in &fan.branches {
                    let place = place(&["parallel", "branches", name, "input"]);
                    self.variable(place, branch.input.as_ref(), known);
                }
            }
            _ => {}
        }
        let known = match action {
            Action::Map(_) => [known, &["item", "index"]].concat(),
            _ => known.to_vec(),
        };
        for (fields, inner) in action.inner() {
            self.inner_variables(inner, &[way, &fields].concat(), &known);
        }
    }

    fn variable(&mut self, place: Place, name: Option<&String>, known: &[&str]) {
        let Some(name) = name.filter(|name| !known.contains(&name.as_str())) else { return };
        let message = format!("unknown variable `{}`", suggest::shown(name));
        self.add(place, message, suggest::hint(name, known));
    }

    fn templates(&mut self, node: &GraphNode) {
        for (place, text) in [(Place::Template, &node.template), (Place::Print, &node.print)] {
            let Some(Err(problem)) = text.as_deref().map(template::check) else { continue };
            self.add(place, format!("is not a template: {problem}"), template::HELP);
        }
    }

    fn ways(&mut self, node: &GraphNode, nodes: &[&str]) {
        match (node.next.len(), &node.action) {
            (0, Action::Fail) => {}
            // A hole: what is wrong with it was told when it was read.
            (0, _) if node.name.is_empty() => {}
            (0, _) => {
                self.add(Place::Next, "leads nowhere", "write `next: [{to: end}]`, or a node");
            }
            (_, Action::Fail) => {
                self.add(
                    Place::Next,
                    "is never gone: the node fails",
                    "remove it, or use `on_failure`",
                );
            }
            (count, _) if count > MAX_TRANSITIONS => {
                let message = format!("has {count} ways, more than the {MAX_TRANSITIONS} allowed");
                self.add(Place::Next, message, "split the node");
            }
            _ => {}
        }
        for (place, transition) in node.next.iter().enumerate() {
            self.target(Place::To(place), &transition.to, nodes);
        }
        if let Some(to) = &node.on_failure {
            self.target(Place::OnFailure, to, nodes);
        }
    }

    fn target(&mut self, place: Place, to: &str, nodes: &[&str]) {
        if to != END && !nodes.contains(&to) {
            let known: Vec<&str> = nodes.iter().copied().chain([END]).collect();
            let message = format!("unknown node `{}`", suggest::shown(to));
            self.add(place, message, suggest::hint(to, &known));
        }
    }

    fn loops(&mut self, graph: &Graph) {
        for way in paths::in_loops(graph) {
            let names = way.iter().map(|place| graph.nodes[*place].name.as_str());
            let names: Vec<String> = names.map(suggest::shown).collect();
            self.node = way[0];
            let message = format!("the loop {} → {} has no bound", names.join(" → "), names[0]);
            self.add(Place::Whole, message, "give one of its nodes `visits`, such as `visits: 10`");
        }
    }

    fn traps(&mut self, graph: &Graph) {
        for place in paths::traps(graph) {
            self.node = place;
            self.add(Place::Next, "no way leads to an end", "let one lead to `end`");
        }
    }
}
