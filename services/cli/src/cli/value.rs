//! How single words of the command line are read.

use std::time::Duration;

use tenure_core::{Name, StateName};

/// An agent and, after an `@`, one of its versions or aliases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AgentRef {
    pub(crate) agent: Name,
    /// A number, an alias, or empty for the newest.
    pub(crate) version: String,
}

impl std::str::FromStr for AgentRef {
    type Err = tenure_core::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (agent, version) = match text.split_once('@') {
            Some((agent, version)) => (agent, version.parse::<Name>()?.to_string()),
            None => (text, String::new()),
        };
        Ok(Self { agent: agent.parse()?, version })
    }
}

/// How many runs may be leased at a time; `None` for any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cap(pub(crate) Option<i32>);

pub(super) fn cap(text: &str) -> Result<Cap, String> {
    match (text, text.parse()) {
        ("none", _) => Ok(Cap(None)),
        (_, Ok(number @ 1..)) => Ok(Cap(Some(number))),
        _ => Err("write a number, at least 1, or `none` to lift the cap".into()),
    }
}

/// An amount of dollars, as millionths.
pub(super) fn dollars(text: &str) -> Result<u64, String> {
    let amount = text.parse::<f64>().ok().filter(|amount| (0.0..=1e6).contains(amount));
    let amount = amount.ok_or("write dollars, from 0 to 1000000, such as `0.10`")?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    let micros = (amount * 1e6).round() as u64;
    Ok(micros)
}

/// A failure in two words: what it is to programs, and to people.
pub(super) fn failure(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((code, message)) if !code.is_empty() && !code.contains(char::is_whitespace) => {
            Ok((code.into(), message.trim().into()))
        }
        _ => Err("write a code and a sentence, such as `no_such_user:Ann has left`".into()),
    }
}

pub(super) fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        _ => Err("write it as key=value".into()),
    }
}

pub(super) fn span(text: &str) -> Result<Duration, String> {
    let read = text.parse::<tenure_spec::Span>();
    read.map(|span| span.0).map_err(|error| format!("{error}; write 500ms, 90s, 10m, 2h or 7d"))
}

pub(super) fn state(text: &str) -> Result<StateName, String> {
    StateName::parse(text).ok_or_else(|| {
        let words = StateName::ALL.map(StateName::as_str).join(", ");
        format!("the states are {words}")
    })
}

pub(super) fn target(text: &str) -> Result<(u32, u32), String> {
    let (version, weight) = text.split_once('=').unwrap_or((text, "1"));
    match (version.parse(), weight.parse()) {
        (Ok(version @ 1..), Ok(weight @ 1..)) => Ok((version, weight)),
        _ => Err("write a version number, or number=weight, both at least 1".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_may_name_a_version_or_an_alias() {
        let agent: AgentRef = "digest@stable".parse().unwrap();
        assert_eq!((agent.agent.as_str(), agent.version.as_str()), ("digest", "stable"));
        assert_eq!("digest".parse::<AgentRef>().unwrap().version, "");
        assert!("digest@".parse::<AgentRef>().is_err());
        assert!("Digest".parse::<AgentRef>().is_err());
    }

    #[test]
    fn weights_labels_and_states_are_read() {
        assert_eq!(target("3"), Ok((3, 1)));
        assert_eq!(target("3=9"), Ok((3, 9)));
        assert!(target("0").is_err() && target("3=0").is_err() && target("x").is_err());
        assert_eq!(label("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(label("=b").is_err() && label("a").is_err());
        assert!(state("done").unwrap_err().contains("succeeded"));
    }

    #[test]
    fn a_cap_is_a_number_or_none() {
        assert_eq!((cap("3"), cap("none")), (Ok(Cap(Some(3))), Ok(Cap(None))));
        assert!(["0", "-1", "", "many"].iter().all(|text| cap(text).is_err()));
    }

    #[test]
    fn a_failure_is_a_code_and_a_sentence() {
        let read = failure("http_404: not: there").unwrap();
        assert_eq!(read, ("http_404".into(), "not: there".into()));
        assert!(["", "http_404", ": x", "not there: x"].iter().all(|text| failure(text).is_err()));
    }

    #[test]
    fn a_span_says_how_it_is_written() {
        assert_eq!(span("90s"), Ok(Duration::from_secs(90)));
        assert!(span("90").unwrap_err().contains("10m"));
    }
}
