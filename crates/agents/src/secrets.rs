//! Secrets of a worker that tools may use: `env://NAME` in a header, a variable or a parameter.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;
use tenure_sdk::Failure;
use tenure_spec::SECRET;

use crate::model::Secret;

/// Bytes of a secret at least: it is taken out of whatever tools say, and a shorter word stands
/// there by chance.
const SHORTEST: usize = 8;
/// Bytes of a file with a secret: tokens are far shorter, and a request has to carry it.
const LONGEST: u64 = 64 * 1024;
/// Tokens that are remembered: more than a worker uses within the time that one is good for.
const LEARNED: usize = 1_000;

/// The secrets that tools may use. The process that runs the interpreter fills it. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct ToolSecrets {
    granted: Arc<BTreeMap<String, Granted>>,
    /// What the worker was given while it works, the oldest first.
    learned: Arc<RwLock<VecDeque<Secret>>>,
}

#[derive(Clone, Debug)]
struct Granted {
    source: Source,
    /// The only host that it may be sent to; any, and any program, without one.
    host: Option<String>,
}

/// Where a secret is.
#[derive(Clone, Debug)]
enum Source {
    Value(Secret),
    /// In a file that somebody else renews.
    File(PathBuf),
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
        self.insert(name, host, Source::Value(secret));
        Ok(())
    }

    /// Lets tools use what is in a file as `env://NAME`, in requests to `host` only. The file is read
    /// each time that it is needed: platforms renew tokens in files.
    pub fn grant_file(&mut self, name: &str, host: &str, file: PathBuf) {
        self.insert(name, Some(host), Source::File(file));
    }

    fn insert(&mut self, name: &str, host: Option<&str>, source: Source) {
        let host = host.map(str::to_ascii_lowercase);
        Arc::make_mut(&mut self.granted).insert(name.into(), Granted { source, host });
    }

    /// Takes a token out of whatever tools say from now on. One that is too short for that is none.
    pub(crate) fn learn(&self, token: &str) {
        if token.trim().len() < SHORTEST {
            return;
        }
        let secret = Secret::new(token);
        let mut learned = self.learned.write().unwrap_or_else(PoisonError::into_inner);
        if learned.iter().any(|known| known.reveal() == secret.reveal()) {
            return;
        }
        if learned.len() == LEARNED {
            learned.pop_front();
        }
        learned.push_back(secret);
    }

    /// The secret that `env://NAME` is, for a host that somebody else has named: it must be the one
    /// that the secret was granted for.
    pub(crate) fn fill_for(&self, reference: &str, host: &str) -> Result<String, Failure> {
        let name = reference.strip_prefix(SECRET).unwrap_or_default();
        if self.granted.get(name).is_some_and(|granted| granted.host.is_none()) {
            let message = format!(
                "a login chooses where it sends `{name}`; if `{host}` is right, grant it for that \
                 host: `--tool-secret {name}@{host}`"
            );
            return Err(Failure::permanent("secret_host", message));
        }
        self.fill(reference, Receiver::Host(host))
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

    fn value(&self, name: &str, receiver: Receiver<'_>) -> Result<Secret, Failure> {
        let Some(granted) = self.granted.get(name) else {
            let message = format!(
                "the worker has no secret `{name}`; start it with `--tool-secret {name}` and that \
                 variable in its environment"
            );
            return Err(Failure::permanent("secret_missing", message));
        };
        match (&granted.host, receiver) {
            (None, _) => self.read(name, &granted.source),
            (Some(host), Receiver::Host(asked)) if host == asked => {
                self.read(name, &granted.source)
            }
            (Some(host), _) => {
                let message = format!("the worker gives the secret `{name}` to `{host}` only");
                Err(Failure::permanent("secret_host", message))
            }
        }
    }

    fn read(&self, name: &str, source: &Source) -> Result<Secret, Failure> {
        let file = match source {
            Source::Value(secret) => return Ok(secret.clone()),
            Source::File(file) => file,
        };
        let unread = |why: String| {
            let message = format!(
                "the file of the secret `{name}` cannot be used: {why}; look at the worker's \
                 `--tool-secret-file`"
            );
            Failure::retryable("secret_missing", message)
        };
        let secret = Secret::new(&read_file(file).map_err(|error| unread(error.to_string()))?);
        if secret.reveal().len() < SHORTEST {
            return Err(unread(format!("it has less than {SHORTEST} characters")));
        }
        self.learn(secret.reveal());
        Ok(secret)
    }

    /// `text` without any secret: servers like to quote a wrong key.
    pub(crate) fn remove_from(&self, text: &str) -> String {
        let granted = self.granted.values().filter_map(|granted| match &granted.source {
            Source::Value(secret) => Some(secret),
            // Learned when it was read.
            Source::File(_) => None,
        });
        let learned = self.learned.read().unwrap_or_else(PoisonError::into_inner);
        let all = granted.chain(learned.iter());
        all.fold(text.to_owned(), |text, secret| secret.remove_from(&text))
    }

    fn is_empty(&self) -> bool {
        let learned = self.learned.read().unwrap_or_else(PoisonError::into_inner);
        self.granted.is_empty() && learned.is_empty()
    }

    /// `value` without any secret, in texts and in names of fields.
    pub(crate) fn clean(&self, value: Value) -> Value {
        if self.is_empty() {
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

/// A text of at most [`LONGEST`] bytes.
fn read_file(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(io::Error::other(format!("it has more than {LONGEST} bytes")));
    }
    Ok(text)
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
    fn a_login_sends_a_secret_only_where_it_was_granted_for() {
        assert_eq!(secrets().fill_for("env://B", "api.example.com").unwrap(), "bbbb-2222");
        for (reference, code) in
            [("env://A", "secret_host"), ("env://B", "secret_host"), ("env://C", "secret_missing")]
        {
            assert_eq!(secrets().fill_for(reference, "evil.example").unwrap_err().code, code);
        }
    }

    #[test]
    fn a_file_is_read_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let mut secrets = ToolSecrets::default();
        secrets.grant_file("T", "idp.example", file.clone());
        let missing = secrets.fill_for("env://T", "idp.example").unwrap_err();
        assert_eq!((&*missing.code, missing.retryable), ("secret_missing", true));
        for token in ["token-1111", "token-2222"] {
            std::fs::write(&file, format!("{token}\n")).unwrap();
            assert_eq!(secrets.fill_for("env://T", "idp.example").unwrap(), token);
        }
        assert_eq!(secrets.remove_from("token-1111 token-2222"), "[key] [key]");
        assert_eq!(secrets.fill_for("env://T", "x.example").unwrap_err().code, "secret_host");
        std::fs::write(&file, "short").unwrap();
        let short = secrets.fill_for("env://T", "idp.example").unwrap_err();
        assert!(!short.message.contains("short"), "{}", short.message);
    }

    #[test]
    fn what_was_learned_is_cleaned_too() {
        let secrets = ToolSecrets::default();
        let copy = secrets.clone();
        copy.learn("token-1234");
        copy.learn("a");
        assert_eq!(secrets.clean(json!("a token-1234")), json!("a [key]"));
    }

    #[test]
    fn what_tools_say_is_cleaned() {
        let said = json!({"x": ["no aaaa-1111"], "bbbb-2222": 1});
        assert_eq!(secrets().clean(said), json!({"x": ["no [key]"], "[key]": 1}));
    }
}
