//! Runs the cases of a corpus: what users of other systems wrote, and what must come out.
//!
//! ```text
//! TENURE_CORPUS=../corpus cargo run --bin conformance
//! ```
//!
//! Every chain of contenox is published to a control plane in this process and executed by the
//! stock interpreter, with a model and hooks that play the case's script. It prints what passed,
//! each failure with its difference, and apart what is different on purpose.

mod case;
mod chains;
mod compare;
mod report;
mod rig;
mod script;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use report::Report;

/// The folder of contenox in a corpus.
const CONTENOX: &str = "000_";
const CASES: &str = "engine-cases.json";

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let corpus = std::env::var_os("TENURE_CORPUS").context(
        "TENURE_CORPUS is not set: give it the folder of the corpus, or one `000_…` folder of it",
    )?;
    let folder = contenox(Path::new(&corpus))?;
    let mut report = Report::default();
    chains::load(&folder, &mut report)?;
    cases(&folder, &mut report).await?;
    report.print();
    Ok(if report.failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The folder with the cases: the one given, or the one in it.
fn contenox(corpus: &Path) -> anyhow::Result<PathBuf> {
    if corpus.join(CASES).is_file() {
        return Ok(corpus.into());
    }
    let shown = corpus.display();
    let entries = std::fs::read_dir(corpus).with_context(|| format!("the corpus `{shown}`"))?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with(CONTENOX) && path.join(CASES).is_file() {
            return Ok(path);
        }
    }
    bail!("`{shown}` has no folder `{CONTENOX}…` with a file `{CASES}`")
}

async fn cases(folder: &Path, report: &mut Report) -> anyhow::Result<()> {
    let suite = case::Suite::read(&folder.join(CASES))?;
    let rig = rig::Rig::start().await?;
    for case in &suite.cases {
        let found = rig.run(case).await?;
        report.case(case, suite.is_quirk(&case.name), &compare::differences(case, &found));
    }
    Ok(())
}
