//! Branches: where a task leads.

use super::later;
use super::loose::Loose;
use crate::graph::{Condition, END, Transition};
use crate::node::Node;
use crate::problems::Problem;
use crate::suggest;

/// A transition and the place of its branch in the list.
pub(super) type Placed = (Transition, usize);

const OPERATORS: [&str; 10] =
    ["equals", "contains", "starts_with", "ends_with", ">", "gt", "<", "lt", "in_range", "default"];

/// The branches of a list in the order in which they are tried: the first `default` comes last,
/// wherever it stands, and further ones never.
pub(super) fn read(list: &Node<'_>, warnings: &mut Vec<Problem>) -> Vec<Placed> {
    let mut place = 0..;
    let read = list.list(|at| Some((read_one(at, warnings), place.next().unwrap_or_default())));
    let read = read.unwrap_or_default().into_iter();
    let read = read.filter_map(|(found, place)| Some((found?, place)));
    let (always, mut rest): (Vec<Placed>, Vec<Placed>) =
        read.partition(|(transition, _)| transition.when.is_none());
    rest.extend(always.into_iter().take(1));
    rest
}

fn read_one(at: &Node<'_>, warnings: &mut Vec<Problem>) -> Option<Transition> {
    let branch = Loose::read(at)?;
    branch.ignored(&["operator", "when", "goto", "compose", "edge"], warnings);
    let to = branch.filled("goto").unwrap_or_else(|| END.into());
    let operator = branch.text("operator");
    if later::is_operator(&operator) {
        warnings.push(later::operator(at, &operator));
        return None;
    }
    // A hole of the right kind, so that one slip is one problem.
    let when = if operator == "default" { None } else { read_condition(&branch, &operator) };
    Some(Transition { when, to })
}

fn read_condition(branch: &Loose<'_>, operator: &str) -> Option<Condition> {
    let when = branch.text("when");
    let number = || {
        let at = branch.get("when").unwrap_or_else(|| branch.at().field("when", branch.at().value));
        number(&when).or_else(|| at.problem("has no number in it", "write one, such as `5`"))
    };
    match operator {
        "equals" => Some(Condition::Equals(when)),
        "contains" => Some(Condition::Contains(when)),
        "starts_with" => Some(Condition::StartsWith(when)),
        "ends_with" => Some(Condition::EndsWith(when)),
        ">" | "gt" => number().map(Condition::Above),
        "<" | "lt" => number().map(Condition::Below),
        "in_range" => read_range(branch, &when).map(Condition::Between),
        other => {
            let at = branch.at().field("operator", branch.at().value);
            let message = format!("unknown operator `{}`", suggest::shown(other));
            at.problem(message, suggest::hint(other, &OPERATORS))
        }
    }
}

fn read_range(branch: &Loose<'_>, when: &str) -> Option<[f64; 2]> {
    let at = branch.at().field("when", branch.at().value);
    let hint = "write the lower and the upper bound, such as `1-5`";
    let bounds = split(when).and_then(|(low, high)| Some([number(low)?, number(high)?]));
    match bounds {
        Some([low, high]) if low <= high => Some([low, high]),
        Some(_) => at.problem("has its bounds the wrong way round", hint),
        None => at.problem("is not a range", hint),
    }
}

/// The two sides of the hyphen that follows a digit; one before a digit is a sign.
fn split(range: &str) -> Option<(&str, &str)> {
    let digit = range.find(|c: char| c.is_ascii_digit())?;
    let hyphen = digit + range[digit..].find('-')?;
    let (low, high) = (&range[..hyphen], &range[hyphen + 1..]);
    let single = |side: &str| !side.trim().trim_start_matches('-').contains('-');
    (single(low) && single(high)).then_some((low, high))
}

/// The number that a text is, in quotes or not.
fn number(text: &str) -> Option<f64> {
    let bare: String = text.chars().filter(|c| !c.is_whitespace() && !"\"'".contains(*c)).collect();
    bare.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_may_have_signs_and_spaces() {
        let read = |text| split(text).and_then(|(low, high)| Some((number(low)?, number(high)?)));
        for (text, bounds) in [
            ("1-5", Some((1.0, 5.0))),
            (" 1 - 5.5 ", Some((1.0, 5.5))),
            ("-5-5", Some((-5.0, 5.0))),
            ("-5--1", Some((-5.0, -1.0))),
            ("1..5", None),
            ("1-2-3", None),
            ("low-high", None),
            ("5", None),
            ("", None),
        ] {
            assert_eq!(read(text), bounds, "{text}");
        }
    }
}
