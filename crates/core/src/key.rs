//! The names of journal entries. `docs/protocol.md` has the grammar for people; this is the rule.
//!
//! ```text
//! key     = scope-path name
//! scope-path = *( segment "/" )
//! name    = segment                      ; an ordinal is part of the last segment
//! segment = 1*char [ "#" ordinal ]       ; the first among equals has no ordinal, the second is #1
//! char    = ALPHA / DIGIT / "." / "_" / "-" / ":"
//! ordinal = nonzero-digit *DIGIT
//! ```
//!
//! A key says *where in the program* a result belongs, never *when* it was made. A bare position
//! would hand a branch its sibling's result if they finish in the other order after a crash.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::Error;
use crate::limits;

/// The name of one journal entry within its run, such as `turn/3/tool:send_email#1`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

impl Key {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A key of the system's own making, which is known to fit the grammar.
    pub(crate) fn reserved(text: &str) -> Self {
        debug_assert!(text.split('/').all(is_segment), "{text} is not a key");
        Self(text.into())
    }

    /// Whether this is the key of an entry of the system's own, such as a cancel.
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with(crate::steering::RESERVED)
    }

    /// The last segment without its ordinal: what the code called it.
    pub fn name(&self) -> &str {
        let segment = self.0.rsplit('/').next().unwrap_or_default();
        segment.split('#').next().unwrap_or_default()
    }

    /// The path of scopes above the name, without the last `/`; empty at the top.
    pub fn scope(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(scope, _)| scope)
    }
}

/// A place in the program: the path of scopes that a key starts with. Empty at the top.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Scope(String);

impl Scope {
    /// The place where a run starts.
    pub fn root() -> Self {
        Self::default()
    }

    /// The path as text; empty at the top.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of the `ordinal`th `name` in this scope, counted from 0.
    pub fn key(&self, name: &str, ordinal: u32) -> Result<Key, Error> {
        check_part(name)?;
        // A path, a part and an ordinal are a key: all that is left to look at is the length.
        let key = self.join(name, ordinal);
        if key.len() > limits::KEY {
            return Err(Error::too_large("a journal key in bytes", key.len(), limits::KEY));
        }
        Ok(Key(key.into()))
    }

    /// The `ordinal`th scope called `name` in this one, counted from 0. `name` may have several
    /// segments (`turn/3`).
    pub fn child(&self, name: &str, ordinal: u32) -> Result<Self, Error> {
        name.split('/').try_for_each(check_part)?;
        let path = self.join(name, ordinal);
        // Room for a name of its own below the scope.
        if path.len() >= limits::KEY {
            return Err(Error::too_large("a scope path in bytes", path.len(), limits::KEY));
        }
        Ok(Self(path))
    }

    fn join(&self, name: &str, ordinal: u32) -> String {
        let slash = if self.0.is_empty() { "" } else { "/" };
        match ordinal {
            0 => format!("{}{slash}{name}", self.0),
            _ => format!("{}{slash}{name}#{ordinal}", self.0),
        }
    }
}

/// Whether this is a segment without an ordinal: what user code may call a step or scope, and what
/// else has to stand in a key as it is.
pub fn is_part(text: &str) -> bool {
    let is_char =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b':');
    !text.is_empty() && text.bytes().all(is_char)
}

/// A part that user code named: ordinals are the engine's to give.
fn check_part(part: &str) -> Result<(), Error> {
    if part.starts_with(crate::steering::RESERVED) {
        return Err(Error::invalid(format!(
            "`{}` cannot name a step or scope: names that begin with `{}` are the system's own",
            part.escape_debug().take(64).collect::<String>(),
            crate::steering::RESERVED
        )));
    }
    if is_part(part) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "`{}` cannot name a step or scope: use A-Z, a-z, 0-9, `.`, `_`, `-`, `:`",
        part.escape_debug().take(64).collect::<String>()
    )))
}

fn is_segment(segment: &str) -> bool {
    let (name, ordinal) = match segment.split_once('#') {
        Some((name, ordinal)) => (name, Some(ordinal)),
        None => (segment, None),
    };
    let counted = ordinal.is_none_or(|digits| {
        !digits.starts_with('0') && !digits.starts_with('+') && digits.parse::<u32>().is_ok()
    });
    is_part(name) && counted
}

impl FromStr for Key {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.len() > limits::KEY {
            return Err(Error::too_large("a journal key in bytes", text.len(), limits::KEY));
        }
        if text.split('/').all(is_segment) {
            return Ok(Self(text.into()));
        }
        Err(Error::invalid(format!(
            "`{}` is not a journal key: scopes and a name joined by `/`, as in `turn/3/tool:search#1`",
            text.escape_debug().take(64).collect::<String>()
        )))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_among_equals_has_no_ordinal() {
        let turn = Scope::root().child("turn/3", 0).unwrap();
        assert_eq!(turn.key("tool:send_email", 0).unwrap().as_str(), "turn/3/tool:send_email");
        let second = turn.key("tool:send_email", 1).unwrap();
        assert_eq!(second.as_str(), "turn/3/tool:send_email#1");
        assert_eq!(second.scope(), "turn/3");
        assert_eq!(Scope::root().key("plan", 0).unwrap().scope(), "");
    }

    #[test]
    fn the_grammar_is_kept_both_ways() {
        for good in ["plan", "research/2/search", "turn/3/tool:x#1", "a#4294967295/b"] {
            assert_eq!(good.parse::<Key>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "a#",
            "a#0",
            "a#01",
            "a#+1",
            "#1",
            "a b",
            "é",
            "a#4294967296",
        ] {
            assert!(bad.parse::<Key>().is_err(), "{bad}");
        }
        assert!("x".repeat(limits::KEY + 1).parse::<Key>().is_err());
        assert!(Scope::root().key("a#1", 0).is_err(), "ordinals are the engine's to give");
        assert!(Scope::root().child("a//b", 0).is_err());
        assert!(Scope::root().key("tenure:cancel", 0).is_err(), "the system's own");
    }
}
