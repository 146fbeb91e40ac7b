//! What is made of a model's reply.

use std::collections::BTreeMap;

use tenure_spec::DataType;
use tenure_spec::graph::Parse;

use super::attempt::Outcome;
use super::data::Data;

/// The output and its value, of a reply without white space at its ends.
pub(super) fn apply(parse: &Parse, reply: &str) -> Result<Outcome, String> {
    match parse {
        Parse::Text => Ok(text(reply.to_owned())),
        Parse::Number => whole(reply).map(of_whole),
        Parse::Score => number(reply).map(of_number),
        Parse::Range => range(reply).map(text),
        Parse::Condition(replies) => condition(replies, reply).map(of_truth),
    }
}

/// What an attempt without a usable reply gives, which nothing looks at but people.
pub(super) fn empty(parse: &Parse) -> Outcome {
    match parse {
        Parse::Text | Parse::Range => text(String::new()),
        Parse::Number => of_whole(0),
        Parse::Score => of_number(0.0),
        Parse::Condition(_) => of_truth(false),
    }
}

fn text(text: String) -> Outcome {
    Outcome { output: Data::new(DataType::String, text.as_str()), value: text }
}

fn of_whole(number: i64) -> Outcome {
    Outcome { output: Data::new(DataType::Int, number), value: number.to_string() }
}

fn of_number(number: f64) -> Outcome {
    Outcome { output: Data::new(DataType::Float, number), value: format!("{number:.2}") }
}

fn of_truth(truth: bool) -> Outcome {
    Outcome { output: Data::new(DataType::Bool, truth), value: truth.to_string() }
}

/// The number that a text is, or else the first one in it.
pub(super) fn number(text: &str) -> Result<f64, String> {
    let bare = bare(text);
    if bare.is_empty() {
        return Err("there is no number in an empty text".into());
    }
    let whole = bare.parse().ok().filter(|number: &f64| number.is_finite());
    let found = whole.or_else(|| (0..bare.len()).find_map(|start| number_at(bare.get(start..)?)));
    found.ok_or_else(|| format!("there is no number in `{}`", shown(text)))
}

/// The text without quotes and spaces, which models like to add.
fn bare(text: &str) -> String {
    text.trim().chars().filter(|c| !matches!(c, '"' | '\'' | ' ')).collect()
}

/// The number that a text begins with: a sign, digits (with commas between thousands), a fraction.
fn number_at(text: &str) -> Option<f64> {
    let digits = |from: usize| text[from..].bytes().take_while(u8::is_ascii_digit).count();
    let sign = usize::from(text.starts_with(['-', '+']));
    let mut end = sign + digits(sign);
    if (1..=3).contains(&(end - sign)) {
        while text[end..].starts_with(',') && digits(end + 1) == 3 {
            end += 4;
        }
    }
    if text[end..].starts_with('.') && digits(end + 1) > 0 {
        end += 1 + digits(end + 1);
    }
    text[..end].replace(',', "").parse().ok()
}

fn whole(text: &str) -> Result<i64, String> {
    // 2^53: beyond it a float does not know whether it is whole.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let number = number(text)?;
    if number.fract() != 0.0 || number.abs() > EXACT {
        return Err(format!("{number} is not a whole number"));
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole and in range")]
    Ok(number as i64)
}

fn range(text: &str) -> Result<String, String> {
    let bare = bare(text);
    let parts: Vec<&str> = bare.split('-').collect();
    match parts[..] {
        [single] => number(single).map(|_| format!("{single}-{single}")),
        [low, high] => number(low).and(number(high)).map(|_| format!("{low}-{high}")),
        _ => Err(format!("`{}` is not a range", shown(text))),
    }
}

fn condition(replies: &BTreeMap<String, bool>, reply: &str) -> Result<bool, String> {
    replies.get(reply).copied().ok_or_else(|| {
        let known: Vec<_> = replies.keys().map(String::as_str).collect();
        format!("the reply `{}` is none of: {}", shown(reply), known.join(", "))
    })
}

fn shown(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_counts() {
        for (text, found) in [
            ("12", Some(12.0)),
            (" \"12\" ", Some(12.0)),
            ("4.0", Some(4.0)),
            ("score is 8 of 10", Some(8.0)),
            ("about -3.5!", Some(-3.5)),
            (".5", Some(0.5)),
            ("1,234,567.5 euros", Some(1_234_567.5)),
            ("1,2", Some(1.0)),
            ("1e3", Some(1000.0)),
            ("äöü 7", Some(7.0)),
            ("6-8", Some(6.0)),
            ("inf", None),
            ("great", None),
            ("  ", None),
            ("- .", None),
        ] {
            assert_eq!(number(text).ok(), found, "{text}");
        }
        assert_eq!((whole("4.5").is_err(), whole("4.0")), (true, Ok(4)));
        assert!(whole("1e300").is_err());
    }

    #[test]
    fn ranges_have_two_sides() {
        for (text, found) in [
            ("6 - 8", Some("6-8")),
            ("\"3-5\"", Some("3-5")),
            ("7", Some("7-7")),
            ("1.5-2", Some("1.5-2")),
            ("1-2-3", None),
            ("low-high", None),
            ("", None),
        ] {
            assert_eq!(range(text).ok().as_deref(), found, "{text}");
        }
    }

    #[test]
    fn values_are_what_transitions_look_at() {
        let value = |parse, reply| apply(&parse, reply).map(|outcome| outcome.value);
        assert_eq!(value(Parse::Score, "8.256").as_deref(), Ok("8.26"));
        assert_eq!(value(Parse::Score, "7").as_deref(), Ok("7.00"));
        let replies = BTreeMap::from([("yes".to_owned(), true), ("no".to_owned(), false)]);
        assert_eq!(value(Parse::Condition(replies.clone()), "no").as_deref(), Ok("false"));
        assert!(value(Parse::Condition(replies), "No").is_err());
    }
}
