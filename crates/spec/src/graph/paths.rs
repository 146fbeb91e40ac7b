//! The ways through a graph: its loops, and whether it comes to an end. Nothing here recurses, for
//! a graph may be one long chain.

use std::collections::BTreeMap;

use super::action::Action;
use super::node::GraphNode;
use super::{END, Graph};

/// The loops in which no node has a bound of visits, each from its first node in the list on, and
/// found as if the first node of those before had one.
pub(crate) fn in_loops(graph: &Graph) -> Vec<Vec<usize>> {
    let bounded = graph.nodes.iter().map(|node| node.visits.is_some());
    let mut gone: Vec<bool> = bounded.collect();
    let after = successors(graph);
    let mut loops = Vec::new();
    while let Some(way) = find_loop(&after, &gone) {
        gone[way[0]] = true;
        loops.push(way);
    }
    loops
}

/// Nodes that a run can come to and that lead to no end and no failure.
pub(super) fn traps(graph: &Graph) -> Vec<usize> {
    let after = successors(graph);
    let before = reversed(&after);
    let ends = (0..graph.nodes.len()).filter(|place| may_end(&graph.nodes[*place], graph));
    let saved = reached(&before, ends.collect());
    let start = if graph.nodes.is_empty() { vec![] } else { vec![0] };
    let visited = reached(&after, start);
    (0..graph.nodes.len()).filter(|place| visited[*place] && !saved[*place]).collect()
}

/// Whether a run can end at this node. What is wrong about it for other reasons counts as an end:
/// one slip is one problem.
fn may_end(node: &GraphNode, graph: &Graph) -> bool {
    let known = |to: &str| graph.nodes.iter().any(|node| node.name == to);
    let ends = |to: &str| to == END || !known(to);
    node.action == Action::Fail || node.next.is_empty() || targets(node).any(ends)
}

fn targets(node: &GraphNode) -> impl Iterator<Item = &str> {
    let next = node.next.iter().map(|transition| transition.to.as_str());
    next.chain(node.on_failure.as_deref())
}

fn successors(graph: &Graph) -> Vec<Vec<usize>> {
    let places: BTreeMap<&str, usize> = graph
        .nodes
        .iter()
        .enumerate()
        .rev()
        .map(|(place, node)| (node.name.as_str(), place))
        .collect();
    let of = |node| targets(node).filter_map(|to| places.get(to).copied()).collect();
    graph.nodes.iter().map(of).collect()
}

fn reversed(edges: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut back = vec![Vec::new(); edges.len()];
    for (from, targets) in edges.iter().enumerate() {
        for to in targets {
            back[*to].push(from);
        }
    }
    back
}

fn reached(edges: &[Vec<usize>], mut open: Vec<usize>) -> Vec<bool> {
    let mut seen = vec![false; edges.len()];
    while let Some(place) = open.pop() {
        if !std::mem::replace(&mut seen[place], true) {
            open.extend(&edges[place]);
        }
    }
    seen
}

/// One loop among the nodes that are not `gone`, its first node in the list in front.
fn find_loop(after: &[Vec<usize>], gone: &[bool]) -> Option<Vec<usize>> {
    let kept = behind_loops(after, gone);
    let before = reversed(after);
    // Every node that is kept has one before it that is kept, so going back ends in a loop.
    let back = |place: usize| before[place].iter().copied().find(|from| kept[*from]);
    let mut walk = vec![kept.iter().position(|kept| *kept)?];
    loop {
        let from = back(*walk.last()?)?;
        if let Some(start) = walk.iter().position(|place| *place == from) {
            let mut way = walk.split_off(start);
            way.reverse();
            let first = way.iter().enumerate().min_by_key(|(_, place)| **place)?.0;
            way.rotate_left(first);
            return Some(way);
        }
        walk.push(from);
    }
}

/// The nodes in a loop or behind one: what is left when those that nothing leads to are taken away.
fn behind_loops(after: &[Vec<usize>], gone: &[bool]) -> Vec<bool> {
    let mut kept: Vec<bool> = gone.iter().map(|gone| !gone).collect();
    let mut ways_in = vec![0_usize; after.len()];
    for place in (0..after.len()).filter(|place| kept[*place]) {
        for to in &after[place] {
            ways_in[*to] += 1;
        }
    }
    let mut open: Vec<usize> =
        (0..after.len()).filter(|place| kept[*place] && ways_in[*place] == 0).collect();
    while let Some(place) = open.pop() {
        kept[place] = false;
        for to in &after[place] {
            ways_in[*to] -= 1;
            if kept[*to] && ways_in[*to] == 0 {
                open.push(*to);
            }
        }
    }
    kept
}
