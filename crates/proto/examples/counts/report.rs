//! What the difference between two counts says. Pure.

use std::collections::BTreeSet;
use std::fmt;

use crate::recorded::Recorded;

/// By how much a path may differ from what is recorded: several times what was seen of chance, another
/// place to build, other options of the C compiler and code that only moved.
const TOLERANCE_PERCENT: u64 = 5;

/// The compiler that the workspace promises: what CI uses, and what is judged.
pub(crate) const RUSTC: &str = env!("CARGO_PKG_RUST_VERSION");

/// A path, before and now.
#[derive(Debug, PartialEq)]
struct Row {
    path: String,
    recorded: Option<u64>,
    now: Option<u64>,
}

/// All paths, and what is to be said about them.
#[derive(Debug, PartialEq)]
pub(crate) struct Report {
    rows: Vec<Row>,
    verdict: Verdict,
}

#[derive(Debug, PartialEq)]
enum Verdict {
    /// All is as recorded.
    Kept,
    /// These paths are not.
    Off(Vec<String>),
    /// What is recorded is of a compiler that the workspace no longer promises.
    Stale(String),
    /// This machine or compiler counts otherwise: nothing can be said.
    Elsewhere(String),
}

/// Compares what was counted with what is recorded.
pub(crate) fn compare(recorded: &Recorded, now: &Recorded) -> Report {
    let paths: BTreeSet<&String> =
        recorded.instructions.keys().chain(now.instructions.keys()).collect();
    let row = |path: &String| Row {
        path: path.clone(),
        recorded: recorded.instructions.get(path).copied(),
        now: now.instructions.get(path).copied(),
    };
    let rows: Vec<Row> = paths.into_iter().map(row).collect();
    let verdict = judge(recorded, now, &rows);
    Report { rows, verdict }
}

/// Whether this is the compiler that the workspace promises, whatever its last number.
pub(crate) fn promised(rustc: &str) -> bool {
    rustc.strip_prefix(RUSTC).is_some_and(|patch| patch.is_empty() || patch.starts_with('.'))
}

fn judge(recorded: &Recorded, now: &Recorded, rows: &[Row]) -> Verdict {
    if !promised(&recorded.rustc) {
        return Verdict::Stale(recorded.rustc.clone());
    }
    if !promised(&now.rustc) || now.machine != recorded.machine {
        return Verdict::Elsewhere(format!(
            "recorded with rustc {} on {}, and this is rustc {} on {}",
            recorded.rustc, recorded.machine, now.rustc, now.machine
        ));
    }
    let off: Vec<String> = rows.iter().filter_map(Row::complaint).collect();
    if off.is_empty() { Verdict::Kept } else { Verdict::Off(off) }
}

impl Row {
    /// What is wrong, if something is: also fewer instructions, which nobody would notice growing
    /// again.
    fn complaint(&self) -> Option<String> {
        let path = &self.path;
        match (self.recorded, self.now) {
            (Some(recorded), Some(now)) => {
                let off = now.abs_diff(recorded) * 100 > recorded * TOLERANCE_PERCENT;
                let change = self.change();
                off.then(|| {
                    format!("`{path}` takes {now} instructions instead of {recorded} ({change})")
                })
            }
            (None, _) => Some(format!("`{path}` is not recorded")),
            (_, None) => Some(format!("`{path}` is recorded and no longer counted")),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a figure for people, with one digit")]
    fn change(&self) -> String {
        match (self.recorded, self.now) {
            (Some(recorded), Some(now)) => {
                format!("{:+.1} %", (now as f64 / recorded as f64 - 1.0) * 100.0)
            }
            _ => "-".into(),
        }
    }
}

impl Report {
    /// Whether nothing speaks against the change.
    pub(crate) fn passed(&self) -> bool {
        matches!(self.verdict, Verdict::Kept | Verdict::Elsewhere(_))
    }

    /// One line for each path.
    pub(crate) fn table(&self) -> String {
        let line = |path: &str, recorded: &str, now: &str, change: &str| {
            format!("{path:<36} {recorded:>10} {now:>10} {change:>9}\n")
        };
        let number = |number: Option<u64>| number.map_or("-".into(), |number| number.to_string());
        let row =
            |row: &Row| line(&row.path, &number(row.recorded), &number(row.now), &row.change());
        line("instructions", "recorded", "now", "change")
            + &self.rows.iter().map(row).collect::<String>()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.table())?;
        match &self.verdict {
            Verdict::Kept => write!(f, "counts: all within {TOLERANCE_PERCENT} %"),
            Verdict::Elsewhere(why) => {
                write!(
                    f,
                    "counts: NOT JUDGED: {why}. Such counts differ without any change of ours."
                )
            }
            Verdict::Stale(rustc) => write!(
                f,
                "counts: FAILED: recorded with rustc {rustc}, and Cargo.toml promises {RUSTC}: \
                 run `scripts/counts --record` with that one"
            ),
            Verdict::Off(paths) => write!(
                f,
                "counts: FAILED: more than {TOLERANCE_PERCENT} % off:\n  {}\n\
                 If that is worth it, or was the purpose, run `scripts/counts --record` and say why in \
                 the commit message. `valgrind --tool=callgrind` shows where it comes from.",
                paths.join("\n  ")
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(rustc: &str, machine: &str, instructions: &[(&str, u64)]) -> Recorded {
        let instructions = instructions.iter().map(|(path, n)| ((*path).to_owned(), *n));
        let (rustc, machine) = (rustc.to_owned(), machine.to_owned());
        Recorded { rustc, machine, instructions: instructions.collect() }
    }

    fn here(instructions: &[(&str, u64)]) -> Recorded {
        counted(&format!("{RUSTC}.1"), "x86_64-linux", instructions)
    }

    #[test]
    fn more_and_fewer_are_off_beyond_the_tolerance() {
        let recorded = here(&[("a", 1_000)]);
        for (now, passed) in
            [(1_000, true), (1_050, true), (950, true), (1_051, false), (949, false)]
        {
            assert_eq!(compare(&recorded, &here(&[("a", now)])).passed(), passed, "{now}");
        }
        let said = compare(&recorded, &here(&[("a", 1_100)])).to_string();
        assert!(said.contains("`a` takes 1100 instructions instead of 1000 (+10.0 %)"), "{said}");
    }

    #[test]
    fn a_path_that_is_new_or_gone_has_to_be_recorded() {
        let (one, both) = (here(&[("a", 7)]), here(&[("a", 7), ("b", 7)]));
        assert!(compare(&one, &both).to_string().contains("`b` is not recorded"));
        assert!(compare(&both, &one).to_string().contains("`b` is recorded and no longer counted"));
    }

    #[test]
    fn another_compiler_or_machine_is_shown_and_not_judged() {
        let recorded = here(&[("a", 1_000)]);
        for (rustc, machine) in [(RUSTC, "aarch64-linux"), ("1.4.2", "x86_64-linux")] {
            let report = compare(&recorded, &counted(rustc, machine, &[("a", 2_000)]));
            assert!(report.passed());
            assert!(
                report.to_string().contains("+100.0 %")
                    && report.to_string().contains("NOT JUDGED")
            );
        }
    }

    #[test]
    fn what_an_older_compiler_counted_has_to_be_recorded_again() {
        let report = compare(&counted("1.4.2", "x86_64-linux", &[("a", 7)]), &here(&[("a", 7)]));
        assert!(!report.passed() && report.to_string().contains("--record"));
    }
}
