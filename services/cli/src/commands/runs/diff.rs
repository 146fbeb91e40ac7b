//! What two runs have recorded, side by side.

mod found;
mod short;

use std::collections::HashMap;
use std::process::ExitCode;

use serde_json::json;
use tenure_sdk::v1;

use found::{Found, Journal, results, same};

use super::state;
use crate::commands::journal::entries;
use crate::problem::Problem;
use crate::session::Session;
use crate::ui::table::Table;
use crate::ui::text;

/// Hexadecimal digits of an input that are shown, as a mismatch does.
const DIGITS: usize = 12;

pub(super) async fn diff(session: &Session, a: &str, b: &str) -> Result<ExitCode, Problem> {
    let (a, b) = (read(session, a).await?, read(session, b).await?);
    let rows = rows(results(&a), results(&b));
    let same = rows.iter().all(|row| row.verdict() == Verdict::Same);
    if session.ui.is_json() {
        session.ui.object(&object(&a.run, &b.run, &rows))?;
    } else {
        for (name, run) in [("A", &a.run), ("B", &b.run)] {
            let (id, agent) = (text::line(&run.id), text::line(&run.agent));
            session.ui.line(format!("{name}  {id}  {agent}@{}  {}", run.version, state(run)))?;
        }
        session.ui.line(format!(
            "\n{}\n{}",
            table(&rows).render(session.ui.paint()),
            summary(&rows)
        ))?;
    }
    Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn read(session: &Session, run: &str) -> Result<Journal, Problem> {
    Ok(Journal { run: session.run(run).await?, entries: entries(session, run).await? })
}

/// One key in both runs.
#[derive(Debug)]
struct Row {
    a: Option<Found>,
    b: Option<Found>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Same,
    Differs,
    OnlyA,
    OnlyB,
}

impl Verdict {
    const ALL: [Self; 4] = [Self::Same, Self::Differs, Self::OnlyA, Self::OnlyB];

    fn word(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Differs => "differs",
            Self::OnlyA => "only in A",
            Self::OnlyB => "only in B",
        }
    }
}

impl Row {
    fn key(&self) -> &str {
        self.a.as_ref().or(self.b.as_ref()).map_or("", |found| &found.key)
    }

    fn verdict(&self) -> Verdict {
        match (&self.a, &self.b) {
            (Some(a), Some(b)) if same(a, b) && !self.inputs_differ() => Verdict::Same,
            (Some(_), None) => Verdict::OnlyA,
            (None, Some(_)) => Verdict::OnlyB,
            _ => Verdict::Differs,
        }
    }

    /// A result that a person gave has no input, so it agrees with any.
    fn inputs_differ(&self) -> bool {
        match (&self.a, &self.b) {
            (Some(a), Some(b)) => !a.input.is_empty() && !b.input.is_empty() && a.input != b.input,
            _ => false,
        }
    }

    /// Both sides in short; the inputs where the results are the same.
    fn sides(&self) -> [String; 2] {
        match (&self.a, &self.b) {
            (Some(a), Some(b)) if same(a, b) && self.inputs_differ() => {
                [a, b].map(|side| format!("input {}", digits(&side.input)))
            }
            (a, b) => {
                short::pair([a, b].map(|side| side.as_ref().map_or(String::new(), Found::value)))
            }
        }
    }
}

fn digits(input: &[u8]) -> String {
    input.iter().take(DIGITS / 2).fold(String::new(), |digits, byte| format!("{digits}{byte:02x}"))
}

/// Both runs in one order: A's, and what only B has behind what stands before it in B.
fn rows(a: Vec<Found>, b: Vec<Found>) -> Vec<Row> {
    let places: HashMap<String, usize> =
        a.iter().enumerate().map(|(place, found)| (found.key.clone(), place)).collect();
    let mut both: Vec<Option<Found>> = vec![None; a.len()];
    let mut behind: HashMap<usize, Vec<Found>> = HashMap::new();
    // The input, which both have, comes first.
    let mut before = 0;
    for found in b {
        match places.get(&found.key) {
            Some(place) => {
                before = *place;
                both[before] = Some(found);
            }
            None => behind.entry(before).or_default().push(found),
        }
    }
    let pairs = a.into_iter().zip(both).enumerate();
    pairs
        .flat_map(|(place, (a, b))| {
            let only_b = behind.remove(&place).unwrap_or_default().into_iter();
            let only_b = only_b.map(|found| Row { a: None, b: Some(found) });
            std::iter::once(Row { a: Some(a), b }).chain(only_b)
        })
        .collect()
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(["", "KEY", "A", "B"], "").whole(&[1]);
    for row in rows {
        let [a, b] = row.sides();
        table.row([row.verdict().word().into(), row.key().into(), a, b]);
    }
    table
}

/// `12 same · 1 differs · 2 only in A`.
fn summary(rows: &[Row]) -> String {
    let parts = Verdict::ALL.map(|verdict| {
        let count = rows.iter().filter(|row| row.verdict() == verdict).count();
        (count, verdict.word())
    });
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    parts.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(" · ")
}

fn object(a: &v1::Run, b: &v1::Run, rows: &[Row]) -> serde_json::Value {
    let side = |found: &Option<Found>| {
        found.as_ref().map(|found| v1::Record {
            status: found.status.clone(),
            input_digest: found.input.clone().into(),
            ..v1::Record::default()
        })
    };
    let row = |row: &Row| {
        let verdict = row.verdict().word().replace(' ', "_").to_lowercase();
        json!({"key": row.key(), "verdict": verdict, "a": side(&row.a), "b": side(&row.b)})
    };
    let rows: Vec<_> = rows.iter().map(row).collect();
    json!({"a": a.id, "b": b.id, "entries": rows})
}

#[cfg(test)]
mod tests;
