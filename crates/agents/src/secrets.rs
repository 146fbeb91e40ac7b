//! Secrets of a worker that tools may use: `env://NAME` in a header, a variable or a parameter.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use tenure_sdk::Failure;
use tenure_spec::SECRET;

use crate::model::Secret;

/// Bytes of a secret at least: it is taken out of whatever tools say, and a shorter word stands
/// there by chance.
const SHORTEST: usize = 8;

/// The secrets that tools may use. The process that runs the interpreter fills it. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct ToolSecrets(Arc<BTreeMap<String, Granted>>);

#[derive(Clone, Debug)]
struct Granted {
    secret: Secret,
    /// The only host that it may be sent to; any, and any program, without one.
    host: Option<String>,
}

/// Who is given a secret.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Receiver<'a> {
    /// The host of a URL, in lower case.
    Host(&'a str),
    /// A program on this machine.
    Program,
}

impl ToolSecrets {
    /// Lets tools use `value` as `env://NAME`; with a host, in requests to that host only. A value of
    /// less than 8 bytes is refused.
    pub fn grant(&mut self, name: &str, host: Option<&str>, value: &str) -> Result<(), String> {
        let secret = Secret::new(value);
        if secret.reveal().len() < SHORTEST {
            return Err(format!("the tool secret `{name}` has less than {SHORTEST} characters"));
        }
        let host = host.map(str::to_ascii_lowercase);
        Arc::make_mut(&mut self.0).insert(name.into(), Granted { secret, host });
        Ok(())
    }

    /// `text` with the values of the secrets that it refers to.
    pub(crate) fn fill(&self, text: &str, receiver: Receiver<'_>) -> Result<String, Failure> {
        let mut parts = text.split(SECRET);
        let mut filled = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = part.find(|c| !name(c)).unwrap_or(part.len());
            filled.push_str(self.value(&part[..end], receiver)?.reveal());
            filled.push_str(&part[end..]);
        }
        Ok(filled)
    }

    /// The same for the values of a map.
    pub(crate) fn fill_all(
        &self,
        map: &BTreeMap<String, String>,
        receiver: Receiver<'_>,
    ) -> Result<BTreeMap<String, String>, Failure> {
        map.iter().map(|(name, text)| Ok((name.clone(), self.fill(text, receiver)?))).collect()
    }

    fn value(&self, name: &str, receiver: Receiver<'_>) -> Result<&Secret, Failure> {
        let Some(granted) = self.0.get(name) else {
            let message = format!(
                "the worker has no secret `{name}`; start it with `--tool-secret {name}` and that \
                 variable in its environment"
            );
            return Err(Failure::permanent("secret_missing", message));
        };
        match (&granted.host, receiver) {
            (None, _) => Ok(&granted.secret),
            (Some(host), Receiver::Host(asked)) if host == asked => Ok(&granted.secret),
            (Some(host), _) => {
                let message = format!("the worker gives the secret `{name}` to `{host}` only");
                Err(Failure::permanent("secret_host", message))
            }
        }
    }

    /// `text` without any secret: servers like to quote a wrong key.
    pub(crate) fn remove_from(&self, text: &str) -> String {
        self.0.values().fold(text.to_owned(), |text, granted| granted.secret.remove_from(&text))
    }

    /// `value` without any secret, in texts and in names of fields.
    pub(crate) fn clean(&self, value: Value) -> Value {
        if self.0.is_empty() {
            return value;
        }
        match value {
            Value::String(text) => self.remove_from(&text).into(),
            Value::Array(list) => list.into_iter().map(|value| self.clean(value)).collect(),
            Value::Object(map) => {
                let clean =
                    |(name, value): (String, Value)| (self.remove_from(&name), self.clean(value));
                map.into_iter().map(clean).collect()
            }
            plain => plain,
        }
    }

    /// `failure` without any secret.
    pub(crate) fn clean_failure(&self, failure: Failure) -> Failure {
        Failure { message: self.remove_from(&failure.message), ..failure }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secrets() -> ToolSecrets {
        let mut secrets = ToolSecrets::default();
        secrets.grant("A", None, "aaaa-1111").unwrap();
        secrets.grant("B", Some("API.example.com"), "bbbb-2222").unwrap();
        secrets
    }

    #[test]
    fn references_are_replaced_where_they_stand() {
        let host = Receiver::Host("api.example.com");
        let filled = secrets().fill("Bearer env://A, env://B!", host).unwrap();
        assert_eq!(filled, "Bearer aaaa-1111, bbbb-2222!");
    }

    #[test]
    fn a_secret_goes_nowhere_else() {
        for (text, receiver, code) in [
            ("env://C", Receiver::Program, "secret_missing"),
            ("env://B", Receiver::Program, "secret_host"),
            ("env://B", Receiver::Host("example.com"), "secret_host"),
        ] {
            let failure = secrets().fill(text, receiver).unwrap_err();
            assert_eq!(failure.code, code);
            assert!(!failure.message.contains("2222"));
        }
        assert!(secrets().grant("S", None, "short").is_err());
    }

    #[test]
    fn what_tools_say_is_cleaned() {
        let said = json!({"x": ["no aaaa-1111"], "bbbb-2222": 1});
        assert_eq!(secrets().clean(said), json!({"x": ["no [key]"], "[key]": 1}));
    }
}
