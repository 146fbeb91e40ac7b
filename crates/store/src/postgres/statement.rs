//! One statement for everything that a batch writes: one round trip, one plan, one flush.
//!
//! Each part is a statement of its own with its own parameters. Put together they are the common
//! table expressions of one `SELECT`, which PostgreSQL executes all or none, on one snapshot.

use std::fmt::Write as _;
use std::sync::OnceLock;

use super::{journal, keys, queue, save};

/// A statement that can be a part of the one.
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
    /// How many parameters it has.
    pub(super) parameters: usize,
    /// Whether it answers with a row for everything that is as it is expected to be.
    pub(super) counts: bool,
}

/// In the order of their parameters.
pub(super) const PARTS: [&Part; 10] = [
    &save::INSERT_RUNS,
    &save::UPDATE_RUNS,
    &save::ADVANCE_RUNS,
    &save::INSERT_INPUTS,
    &journal::APPEND,
    &journal::APPEND_RESULTS,
    &queue::ENQUEUE,
    &queue::DEQUEUE,
    &keys::INSERT_KEYS,
    &save::SEEN_AGENTS,
];

/// Which parts a statement has.
#[derive(Clone, Copy, Default)]
pub(super) struct Mask(u16);

impl Mask {
    pub(super) fn of(present: [bool; PARTS.len()]) -> Self {
        let bit = |(place, present): (usize, bool)| u16::from(present) << place;
        Self(present.into_iter().enumerate().map(bit).sum())
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn has(self, place: usize) -> bool {
        self.0 >> place & 1 == 1
    }

    /// The statement, made when it is asked for the first time: there are few in use.
    pub(super) fn sql(self) -> &'static str {
        static TEXTS: [OnceLock<String>; 1 << PARTS.len()] =
            [const { OnceLock::new() }; 1 << PARTS.len()];
        TEXTS[usize::from(self.0)].get_or_init(|| self.text())
    }

    fn text(self) -> String {
        let (mut text, mut counts, mut given) = (String::from("-- save\nWITH "), Vec::new(), 0);
        for (_, part) in PARTS.iter().enumerate().filter(|(place, _)| self.has(*place)) {
            let comma = if given == 0 { "" } else { ",\n" };
            let sql = renumbered(part.sql, given);
            // Writing to a string does not fail.
            let _ = write!(text, "{comma}{} AS (\n{sql}\n)", part.name);
            given += part.parameters;
            if part.counts {
                counts.push(format!("(SELECT count(*) FROM {})", part.name));
            }
        }
        let counts = if counts.is_empty() { "0".to_owned() } else { counts.join(" + ") };
        let (expected, at) = (given + 1, given + 2);
        let _ = write!(text, "\nSELECT tenure_settle({counts}, ${expected}, ${at}) AS now");
        text
    }
}

/// The same statement with parameters that count from `before` on.
fn renumbered(sql: &str, before: usize) -> String {
    let mut parts = sql.split('$');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.chars().take_while(char::is_ascii_digit).count();
        let number: usize = part[..digits].parse().unwrap_or_default();
        let _ = write!(text, "${}{}", number + before, &part[digits..]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_count_on() {
        assert_eq!(renumbered("a = $1 AND b = $12::text[]", 3), "a = $4 AND b = $15::text[]");
    }

    /// What is counted here is bound there.
    #[test]
    fn every_part_says_how_many_parameters_it_has() {
        for part in PARTS {
            let numbers = part.sql.split('$').skip(1).map(|rest| {
                let digits = rest.chars().take_while(char::is_ascii_digit).count();
                rest[..digits].parse::<usize>().unwrap()
            });
            assert_eq!(numbers.max(), Some(part.parameters), "{}", part.name);
        }
    }
}
