//! `tenure artifacts …`.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use tenure_sdk::v1;

use crate::cli::Artifacts;
use crate::problem::Problem;
use crate::session::{Session, answer};
use crate::ui::table::Table;
use crate::ui::{note, text, time};

pub(crate) async fn artifacts(session: &Session, command: Artifacts) -> Result<(), Problem> {
    match command {
        Artifacts::List { run } => list(session, run).await,
        Artifacts::Get { run, name, out } => get(session, run, name, out).await,
    }
}

async fn list(session: &Session, run: String) -> Result<(), Problem> {
    let all = v1::ListArtifactsResponse { artifacts: of_run(session, &run).await? };
    session.ui.show(&all, table(&all.artifacts))
}

/// The artifacts of a run, without their bytes.
pub(crate) async fn of_run(session: &Session, run: &str) -> Result<Vec<v1::Artifact>, Problem> {
    let request = v1::ListArtifactsRequest { tenant: session.tenant(), run: run.to_owned() };
    Ok(answer!(session.client.runs().list_artifacts(request))?.artifacts)
}

fn table(artifacts: &[v1::Artifact]) -> Table {
    let now = time::now();
    let empty = "no artifacts";
    let mut table =
        Table::new(["NAME", "TYPE", "SIZE", "WRITTEN"], empty).whole(&[2]).optional(&[1, 3]);
    for artifact in artifacts {
        let written = time::ago(time::moment(artifact.created_at.as_ref()), now);
        let size = text::size(artifact.size);
        table.row([artifact.name.clone(), artifact.content_type.clone(), size, written]);
    }
    table
}

async fn get(
    session: &Session,
    run: String,
    name: String,
    out: Option<PathBuf>,
) -> Result<(), Problem> {
    let artifact = fetch(session, &run, &name).await?;
    if let Some(path) = out {
        std::fs::write(&path, &artifact.data).map_err(|error| Problem::file(&path, &error))?;
        note(format!("{} written", wrote(&path, &artifact)));
        return Ok(());
    }
    if session.ui.is_json() {
        return session.ui.object(&artifact);
    }
    print(session, &artifact)
}

/// One artifact with its bytes.
pub(crate) async fn fetch(
    session: &Session,
    run: &str,
    name: &str,
) -> Result<v1::Artifact, Problem> {
    let (run, name) = (run.to_owned(), name.to_owned());
    let request = v1::GetArtifactRequest { tenant: session.tenant(), run, name };
    Ok(answer!(session.client.runs().get_artifact(request))?)
}

fn wrote(path: &Path, artifact: &v1::Artifact) -> String {
    format!("{}: {}", path.display(), text::size(artifact.data.len() as u64))
}

/// The bytes as they are into a pipe; to a terminal only text, and that made safe.
fn print(session: &Session, artifact: &v1::Artifact) -> Result<(), Problem> {
    if !io::stdout().is_terminal() {
        return Ok(session.ui.bytes(&artifact.data)?);
    }
    let text = str::from_utf8(&artifact.data).map_err(|_| {
        let message = format!("{} is not text", artifact.name);
        Problem::new(message).hint("write it to a file with -o FILE")
    })?;
    Ok(session.ui.line(text::lines(text.trim_end()))?)
}
