//! What is told at the end.

use std::collections::BTreeSet;

use tenure_spec::{Document, Problems};

use crate::case::Case;

/// Cases in which Tenure does something else on purpose, with the reason and the start of the one
/// difference there may be. `docs/compatibility.md` says more.
const ON_PURPOSE: [(&str, &str, &str); 1] = [(
    "unknown-fields-ignored",
    "`systemInstruction` is read as `system_instruction`, as contenox's own manual writes it",
    "model call 1\n      must be Object {\"kind\": String(\"prompt\"), \"prompt\": String(\"hello\")}\n      and is  Object {\"kind\": String(\"prompt\"), \"prompt\": String(\"hello\"), \"system\": String(\"ignored\")}",
)];

/// What has been found so far.
#[derive(Default)]
pub(crate) struct Report {
    passed: usize,
    failures: Vec<String>,
    /// Loaded, with what is not taken over.
    warnings: Vec<String>,
    apart: Vec<String>,
}

impl Report {
    /// A chain that was read.
    pub(crate) fn chain(&mut self, name: &str, read: Result<Document, Problems>) {
        match read {
            Ok(document) => {
                self.passed += 1;
                let told: BTreeSet<_> =
                    document.warnings.iter().map(|it| it.message.as_str()).collect();
                let told = told.into_iter().map(|message| format!("    {message}"));
                if !document.warnings.is_empty() {
                    self.warnings.extend([format!("  {name}")].into_iter().chain(told));
                }
            }
            Err(problems) => self.failures.push(format!("  {name} does not load: {problems}")),
        }
    }

    /// A case that was run.
    pub(crate) fn case(&mut self, case: &Case, quirk: bool, differences: &[String]) {
        let name = &case.name;
        let differs = differences.join("\n    ");
        let on_purpose = ON_PURPOSE.iter().find(|(of, ..)| of == name);
        match (quirk, differences.is_empty(), on_purpose) {
            (true, true, _) => {
                self.apart.push(format!("  {name}: a quirk, done like the original"));
            }
            (true, false, _) => {
                self.apart.push(format!("  {name}: a quirk, done better:\n    {differs}"));
            }
            (false, true, _) => self.passed += 1,
            (false, false, Some((_, why, wanted))) if differs == *wanted => {
                self.apart.push(format!("  {name}: {why}"));
            }
            (false, false, _) => self.failures.push(format!("  {name}:\n    {differs}")),
        }
    }

    pub(crate) fn failed(&self) -> bool {
        !self.failures.is_empty()
    }

    #[expect(clippy::print_stdout, reason = "it is what the command is for")]
    pub(crate) fn print(&self) {
        let section = |title: &str, lines: &[String]| {
            if !lines.is_empty() {
                println!("{title}\n{}\n", lines.join("\n"));
            }
        };
        section("loaded with a warning:", &self.warnings);
        section("apart:", &self.apart);
        section("failed:", &self.failures);
        println!("{} passed, {} failed", self.passed, self.failures.len());
    }
}
