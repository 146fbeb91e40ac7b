//! What was measured and what was reached: as tables for people, and as JSON.

use std::fs;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Value, json};
use tenure_testkit::figures::Sample;

use crate::charts;
use crate::goals::{self, Reached};
use crate::options::{Plan, Section};

/// What one measurement gave: names, which say the unit, and figures.
pub(crate) type Values = Vec<(&'static str, f64)>;

/// All rows, in the order in which they were measured first.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

/// One thing that is measured in every round.
struct Row {
    section: Section,
    name: String,
    rounds: Vec<Values>,
}

/// Says what goes on.
pub(crate) fn progress(what: &str) {
    println!("  {what}");
}

impl Report {
    /// Adds a measurement to the row of this name.
    pub(crate) fn add(&mut self, section: Section, name: &str, values: Values) {
        let known = self.rows.iter_mut().find(|row| row.section == section && row.name == name);
        if let Some(row) = known {
            row.rounds.push(values);
        } else {
            self.rows.push(Row { section, name: name.to_owned(), rounds: vec![values] });
        }
    }

    /// A figure of a row, round by round.
    pub(crate) fn rounds(&self, section: Section, row: &str, figure: &str) -> Option<Vec<f64>> {
        let row = self.rows.iter().find(|one| one.section == section && one.name == row)?;
        Some(row.rounds(figure)).filter(|rounds| !rounds.is_empty())
    }

    /// The median of a figure of a row.
    pub(crate) fn median(&self, section: Section, row: &str, figure: &str) -> Option<f64> {
        Some(Sample::of(self.rounds(section, row, figure)?).median())
    }

    /// A figure of one row over that of another, which were measured one directly after the other:
    /// the median of all rounds.
    pub(crate) fn ratio(
        &self,
        section: Section,
        row: &str,
        over: &str,
        figure: &str,
    ) -> Option<f64> {
        let rounds = |row| self.rounds(section, row, figure);
        let pairs = rounds(row)?.into_iter().zip(rounds(over)?);
        Some(Sample::of(pairs.map(|(value, over)| value / over)).median())
    }

    /// The greatest value of a figure in any row.
    pub(crate) fn most(&self, section: Section, figure: &str) -> Option<f64> {
        let rows = self.rows.iter().filter(|row| row.section == section);
        rows.flat_map(|row| row.rounds(figure)).reduce(f64::max)
    }

    /// Prints everything, and writes it where that is asked for.
    pub(crate) fn publish(&self, plan: &Plan) -> anyhow::Result<()> {
        for section in plan.sections() {
            self.print(section);
        }
        let goals = goals::reached(self);
        println!("\ngoals");
        for goal in &goals {
            println!("{goal}");
        }
        if let Some(path) = &plan.json {
            let rows: Vec<_> = self.rows.iter().map(Row::json).collect();
            let goals: Vec<_> = goals.iter().map(Reached::json).collect();
            let all = json!({ "rows": rows, "goals": goals });
            fs::write(path, serde_json::to_string_pretty(&all)?)?;
        }
        if let Some(folder) = &plan.charts {
            charts::draw(self, folder)?;
        }
        Ok(())
    }

    /// A table for rows that have the same figures.
    fn print(&self, section: Section) {
        let rows = self.rows.iter().filter(|row| row.section == section);
        let mut kinds: Vec<Vec<&Row>> = Vec::new();
        for row in rows {
            match kinds.iter_mut().find(|kind| kind[0].names().eq(row.names())) {
                Some(kind) => kind.push(row),
                None => kinds.push(vec![row]),
            }
        }
        for kind in kinds {
            println!("\n{}", table(section, &kind));
        }
    }
}

fn table(section: Section, rows: &[&Row]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    for row in rows {
        let names = row.names().map(str::to_owned);
        table.set_header([name(section)].into_iter().chain(names));
        let figures = row.names().map(|name| {
            let cell = Cell::new(text(&row.sample(name)));
            cell.set_alignment(CellAlignment::Right)
        });
        table.add_row([Cell::new(&row.name)].into_iter().chain(figures));
    }
    table
}

/// A section as people name it on the command line.
fn name(section: Section) -> String {
    format!("{section:?}").to_lowercase()
}

impl Row {
    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.rounds[0].iter().map(|(name, _)| *name)
    }

    fn rounds(&self, figure: &str) -> Vec<f64> {
        let values = self.rounds.iter().flatten().filter(|value| value.0 == figure);
        values.map(|value| value.1).collect()
    }

    fn sample(&self, figure: &str) -> Sample {
        Sample::of(self.rounds(figure))
    }

    fn json(&self) -> Value {
        let figures = self.names().map(|name| {
            let sample = self.sample(name);
            let (median, least, most) = (sample.median(), sample.least(), sample.most());
            let rounds = self.rounds(name);
            let figure =
                json!({ "median": median, "lowest": least, "highest": most, "rounds": rounds });
            (name.to_owned(), figure)
        });
        let figures: serde_json::Map<_, _> = figures.collect();
        json!({
            "section": name(self.section),
            "row": self.name,
            "figures": figures,
        })
    }
}

/// The median, and under it between what all rounds were, if there were several.
fn text(sample: &Sample) -> String {
    let median = digits(sample.median());
    if sample.spread() == 0.0 {
        return median;
    }
    format!("{median}\n{}–{}", digits(sample.least()), digits(sample.most()))
}

/// Three digits that count.
pub(crate) fn digits(value: f64) -> String {
    let decimals = match value.abs() {
        0.0 | 100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}
