//! Which way a run takes out of a node.

use serde_json::{Map, Value};
use tenure_sdk::Failure;
use tenure_spec::Expression;
use tenure_spec::graph::{Condition, Transition};

use super::data::Data;

use super::parse::number;

/// What the conditions of a node look at.
pub(super) struct Scene<'a> {
    pub(super) input: &'a Data,
    pub(super) output: &'a Data,
    pub(super) value: &'a str,
    pub(super) variables: &'a Map<String, Value>,
}

/// The first way that fits.
pub(super) fn choose<'a>(ways: &'a [Transition], scene: &Scene<'_>) -> Result<&'a str, Failure> {
    for way in ways {
        if way.when.as_ref().map_or(Ok(true), |when| holds(when, scene))? {
            return Ok(&way.to);
        }
    }
    let value = scene.value;
    let message = format!(
        "none of its transitions fits the value `{value}`; let the last one have no `when`"
    );
    Err(Failure::permanent("graph_transition", message))
}

fn holds(when: &Condition, scene: &Scene<'_>) -> Result<bool, Failure> {
    let value = scene.value;
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
        Condition::Expression(text) => true_of(text, scene)?,
    })
}

fn true_of(text: &str, scene: &Scene<'_>) -> Result<bool, Failure> {
    let variables = [
        ("input", scene.input.value.clone()),
        ("output", scene.output.value.clone()),
        ("value", scene.value.into()),
        ("vars", Value::Object(scene.variables.clone())),
    ];
    let truth = Expression::read(text).and_then(|expression| expression.holds(&variables));
    truth.map_err(|why| {
        Failure::permanent("graph_transition", format!("the condition `{text}`: {why}"))
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
            way(Some(Condition::Expression("vars.rate > output && value == '0.5'".into())), "4"),
            way(Some(Condition::Expression("value == '0' && vars.rat > 1".into())), "5"),
        ];
        let choose = |value| {
            let data = Data::new(tenure_spec::DataType::Int, 3);
            let variables = serde_json::json!({"rate": 7}).as_object().unwrap().clone();
            let scene = Scene { input: &data, output: &data, value, variables: &variables };
            super::choose(&ways, &scene).map(ToOwned::to_owned)
        };
        assert_eq!(choose("a").unwrap(), "1");
        assert_eq!(choose("score is 8 of 10").unwrap(), "2");
        assert_eq!(choose("5").unwrap(), "3");
        assert_eq!(choose("0.5").unwrap(), "4");
        assert!(choose("0").unwrap_err().message.contains("vars.rat > 1"));
        assert!(choose("0.7").unwrap_err().message.contains("none of its transitions"));
        assert!(choose("b").unwrap_err().message.contains("no number"));
    }
}
