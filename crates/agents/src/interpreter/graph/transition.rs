//! Which way a run takes out of a node.

use tenure_sdk::Failure;
use tenure_spec::graph::{Condition, Transition};

use super::parse::number;

/// The first way that fits the value.
pub(super) fn choose<'a>(ways: &'a [Transition], value: &str) -> Result<&'a str, Failure> {
    for way in ways {
        if way.when.as_ref().map_or(Ok(true), |when| holds(when, value))? {
            return Ok(&way.to);
        }
    }
    let message = format!(
        "none of its transitions fits the value `{value}`; let the last one have no `when`"
    );
    Err(Failure::permanent("graph_transition", message))
}

fn holds(when: &Condition, value: &str) -> Result<bool, Failure> {
    let read = || {
        number(value).map_err(|why| {
            Failure::permanent("graph_transition", format!("a transition wants a number: {why}"))
        })
    };
    Ok(match when {
        Condition::Equals(text) => value == text,
        Condition::Contains(text) => value.contains(text.as_str()),
        Condition::StartsWith(text) => value.starts_with(text.as_str()),
        Condition::EndsWith(text) => value.ends_with(text.as_str()),
        Condition::Above(bound) => read()? > *bound,
        Condition::Below(bound) => read()? < *bound,
        Condition::Between([low, high]) => (*low..=*high).contains(&read()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_way_that_fits_is_taken() {
        let way = |when, to: &str| Transition { when, to: to.into() };
        let ways = [
            way(Some(Condition::Equals("a".into())), "1"),
            way(Some(Condition::Above(5.0)), "2"),
            way(Some(Condition::Between([1.0, 5.0])), "3"),
        ];
        assert_eq!(choose(&ways, "a").unwrap(), "1");
        assert_eq!(choose(&ways, "score is 8 of 10").unwrap(), "2");
        assert_eq!(choose(&ways, "5").unwrap(), "3");
        assert!(choose(&ways, "0").unwrap_err().message.contains("none of its transitions"));
        assert!(choose(&ways, "b").unwrap_err().message.contains("no number"));
    }
}
