//! One statement for everything that a batch writes: one round trip, one plan, one flush.
//!
//! Each part is a statement of its own with its own parameters. Put together they are the common
//! table expressions of one `SELECT`, which PostgreSQL executes all or none, on one snapshot.

use std::fmt::Write as _;
use std::sync::OnceLock;

use super::{allowances, journal, keys, queue, save};

/// A statement that can be a part of the one.
pub(super) struct Part {
    pub(super) name: &'static str,
    /// The columns of the rows that it is given, each with its type and bound as an array.
    pub(super) rows: &'static str,
    /// In which `{rows}` is where they come from, and `{columns}` their names.
    pub(super) sql: &'static str,
    /// Whether it answers with a row for everything that is as it is expected to be.
    pub(super) counts: bool,
}

/// In the order of their parameters.
pub(super) const PARTS: [&Part; 12] = [
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
    &allowances::SPEND,
    &allowances::RELEASE,
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
            let name = part.name;
            // Writing to a string does not fail.
            let _ = write!(text, "{comma}{name} AS (\n{}\n)", part.text(given));
            given += part.columns().count();
            if part.counts {
                counts.push(format!("(SELECT count(*) FROM {name})"));
            }
        }
        let counts = if counts.is_empty() { "0".to_owned() } else { counts.join(" + ") };
        let (expected, at) = (given + 1, given + 2);
        let _ = write!(text, "\nSELECT tenure_settle({counts}, ${expected}, ${at}) AS now");
        text
    }
}

impl Part {
    /// Names and types.
    fn columns(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.rows.split(", ").filter_map(|column| column.split_once(' '))
    }

    /// Its statement, with parameters that count from `given` on. The arrays are unnested side by side
    /// in a `SELECT`, which takes a third of the time of `unnest` with many arguments: that fills a
    /// table for each of them first.
    fn text(&self, given: usize) -> String {
        let unnest = |(place, (name, kind)): (usize, (&str, &str))| {
            format!("unnest(${}::{kind}[]) AS {name}", place + given + 1)
        };
        let rows: Vec<_> = self.columns().enumerate().map(unnest).collect();
        let names: Vec<_> = self.columns().map(|(name, _)| name).collect();
        let sql = self.sql.replace("{rows}", &format!("(SELECT {})", rows.join(", ")));
        sql.replace("{columns}", &names.join(", "))
    }
}

/// The statement of each part by itself.
pub(super) fn parts() -> impl Iterator<Item = &'static str> {
    static TEXTS: OnceLock<Vec<String>> = OnceLock::new();
    TEXTS.get_or_init(|| PARTS.iter().map(|part| part.text(0)).collect()).iter().map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PART: Part = Part {
        name: "mark",
        rows: "tenant_id uuid, at timestamptz",
        sql: "INSERT INTO marks ({columns}) SELECT * FROM {rows} AS new",
        counts: false,
    };

    #[test]
    fn parameters_count_on() {
        let rows = "(SELECT unnest($4::uuid[]) AS tenant_id, unnest($5::timestamptz[]) AS at)";
        let expected = format!("INSERT INTO marks (tenant_id, at) SELECT * FROM {rows} AS new");
        assert_eq!(PART.text(3), expected);
    }
}
