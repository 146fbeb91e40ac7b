//! Hints for words that nobody knows.

/// What people call secrets, without separators.
const SECRETS: [&str; 9] = [
    "apikey",
    "accesskey",
    "accesstoken",
    "authtoken",
    "secret",
    "password",
    "passwd",
    "credential",
    "authorization",
];

/// Characters of a user's word that are repeated to them.
const SHOWN: usize = 60;

/// "did you mean", or the whole list when nothing is near.
pub(crate) fn hint(word: &str, known: &[&str]) -> String {
    match nearest(word, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("use one of: {}", known.join(", ")),
    }
}

/// Whether an unknown field was probably meant to hold a key.
pub(crate) fn looks_secret(field: &str, known: &[&str]) -> bool {
    let word: String = field.chars().filter(char::is_ascii_alphanumeric).collect();
    let word = word.to_ascii_lowercase();
    let alone = ["key", "token", "bearer"].contains(&word.as_str());
    (alone && nearest(field, known).is_none()) || SECRETS.iter().any(|secret| word.contains(secret))
}

/// A user's word as a message may repeat it: short, on one line.
pub(crate) fn shown(word: &str) -> String {
    let mut shown: String = word.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if word.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    // The distance costs length × length, and no long word is a slip of a short one.
    if word.len() > SHOWN {
        return None;
    }
    let plain = |word: &str| word.to_lowercase().replace(['-', ' '], "_");
    let word = plain(word);
    let allowed = 1 + word.chars().count() / 4;
    known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&word, &plain(name)), *name))
        .filter(|(distance, name)| *distance <= allowed && *distance < name.len())
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised() {
        let known = ["provider", "name", "base_url", "max_tokens"];
        for (word, meant) in [
            ("provdier", "provider"),
            ("baseUrl", "base_url"),
            ("max-token", "max_tokens"),
            ("Name", "name"),
        ] {
            assert_eq!(hint(word, &known), format!("did you mean `{meant}`?"));
        }
        assert_eq!(hint("colour", &known), "use one of: provider, name, base_url, max_tokens");
    }

    #[test]
    fn secrets_are_recognised() {
        for field in
            ["api_key", "apiKey", "API-KEY", "openai_api_key", "client_secret", "key", "token"]
        {
            assert!(looks_secret(field, &["name", "base_url"]), "{field}");
        }
        assert!(!looks_secret("token", &["tokens"]));
        assert!(!looks_secret("keyboard", &["name"]));
    }
}
