//! What was measured: as a table for people, and as JSON.

use std::fs;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Value, json};
use tenure_testkit::figures::Sample;

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

    /// Prints everything, and writes it where that is asked for.
    pub(crate) fn publish(&self, plan: &Plan) -> anyhow::Result<()> {
        for section in plan.sections() {
            println!("\n{}", self.table(section));
        }
        if let Some(path) = &plan.json {
            let rows: Vec<_> = self.rows.iter().map(Row::json).collect();
            fs::write(path, serde_json::to_string_pretty(&json!({ "rows": rows }))?)?;
        }
        Ok(())
    }

    fn table(&self, section: Section) -> Table {
        let rows: Vec<_> = self.rows.iter().filter(|row| row.section == section).collect();
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        if let Some(first) = rows.first() {
            let name = format!("{section:?}").to_lowercase();
            table.set_header([name].into_iter().chain(first.names().map(str::to_owned)));
        }
        for row in rows {
            let figures = row.names().map(|name| {
                let cell = Cell::new(text(&row.sample(name)));
                cell.set_alignment(CellAlignment::Right)
            });
            table.add_row([Cell::new(&row.name)].into_iter().chain(figures));
        }
        table
    }
}

impl Row {
    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.rounds[0].iter().map(|(name, _)| *name)
    }

    fn sample(&self, name: &str) -> Sample {
        let values = self.rounds.iter().flatten().filter(|value| value.0 == name);
        Sample::of(values.map(|value| value.1))
    }

    fn json(&self) -> Value {
        let figures = self.names().map(|name| {
            let sample = self.sample(name);
            let (least, most) = (sample.least(), sample.most());
            (
                name.to_owned(),
                json!({ "median": sample.median(), "lowest": least, "highest": most }),
            )
        });
        let figures: serde_json::Map<_, _> = figures.collect();
        json!({
            "section": format!("{:?}", self.section).to_lowercase(),
            "row": self.name,
            "rounds": self.rounds.len(),
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
fn digits(value: f64) -> String {
    let decimals = match value.abs() {
        0.0 | 100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}
