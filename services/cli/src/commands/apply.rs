//! `tenure apply`: check everything here, then publish.

use std::path::Path;

use serde_json::json;
use tenure_sdk::v1;
use tenure_spec::Problems;

use crate::cli::Apply;
use crate::input;
use crate::problem::Problem;
use crate::session::{Session, answer};
use crate::ui::{note, text};

/// Publishes all files, or none if one of them has a problem that can be seen from here.
pub(crate) async fn apply(session: &Session, command: Apply) -> Result<(), Problem> {
    let documents = checked(&command)?;
    let mut published = Vec::new();
    for document in documents {
        let response = publish(session, document).await?;
        if !session.ui.is_json() {
            session.ui.line(sentence(&response))?;
        }
        published.push(response);
    }
    if session.ui.is_json() {
        session.ui.object(&json!({"published": published}))?;
    }
    Ok(())
}

fn checked(command: &Apply) -> Result<Vec<String>, Problem> {
    let mut documents = Vec::new();
    let mut reports = Vec::new();
    for path in &command.files {
        let document = document(path)?;
        match tenure_spec::read(&document) {
            Ok(read) => {
                read.warnings.iter().for_each(|it| note(warning(path, it)));
                documents.push(document);
            }
            Err(problems) => reports.push(report(path, &problems)),
        }
    }
    if reports.is_empty() {
        return Ok(documents);
    }
    Err(Problem::new(reports.join("\n"))
        .hint("nothing was published; 'tenure schema' prints what is allowed, for your editor"))
}

pub(crate) fn document(path: &Path) -> Result<String, Problem> {
    String::from_utf8(input::file(path)?).map_err(|_| {
        Problem::new(format!("{}: not UTF-8 text", path.display()))
            .hint("a specification is YAML or JSON in UTF-8")
    })
}

/// What the author of a document should know though nothing is wrong.
fn warning(path: &Path, warning: &tenure_spec::Problem) -> String {
    text::line(&format!("warning: {}: {warning}", path.display())).into_owned()
}

/// Everything that is wrong with one document.
pub(crate) fn report(path: &Path, problems: &Problems) -> String {
    let count = text::count(problems.0.len() as u64, "problem", "problems");
    let mut lines = vec![format!("{} has {count}", path.display())];
    for problem in &problems.0 {
        let place = match problem.path.as_str() {
            "" => String::new(),
            path => format!("{path}: "),
        };
        lines.push(format!("  {place}{}", problem.message));
        lines.extend(problem.hint.iter().map(|hint| format!("      {hint}")));
    }
    lines.join("\n")
}

/// Publishes one document.
pub(crate) async fn publish(
    session: &Session,
    document: String,
) -> Result<v1::PublishVersionResponse, Problem> {
    let request = v1::PublishVersionRequest { tenant: session.tenant(), document };
    Ok(answer!(session.client.agents().publish_version(request))?)
}

/// `document-digest version 2 published`.
pub(crate) fn sentence(response: &v1::PublishVersionResponse) -> String {
    let version = response.version.clone().unwrap_or_default();
    let what = if response.created { "published" } else { "unchanged" };
    format!("{} version {} {what}", text::line(&version.agent), version.number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(texts: &[&str]) -> Result<Vec<String>, String> {
        let dir = tempfile::tempdir().unwrap();
        let files = texts.iter().enumerate().map(|(index, text)| {
            let path = dir.path().join(format!("{index}.yaml"));
            std::fs::write(&path, text).unwrap();
            path
        });
        let command = Apply { files: files.collect() };
        checked(&command).map_err(|problem| {
            let there = format!("{}/", dir.path().display());
            problem.render().replace(&there, "")
        })
    }

    #[test]
    fn all_problems_of_all_files_are_told_at_once() {
        let good = "{name: a, kind: external}";
        let problem = apply(&["{name: A}", good, "kind: [", "{name: b, kind: extern}"]);
        insta::assert_snapshot!(problem.unwrap_err(), @r"
        error: 0.yaml has 2 problems
          name: is not a name
              use a-z, 0-9, `.`, `_` and `-`, with a letter or digit at both ends
          model: is missing
              say which model to ask, or set `kind: external`
        2.yaml has 1 problem
          line 1, column 7: unclosed bracket '['
              correct the document here
        3.yaml has 1 problem
          kind: unknown kind `extern`
              did you mean `external`?
        hint: nothing was published; 'tenure schema' prints what is allowed, for your editor
        ");
        assert_eq!(apply(&[good]).unwrap(), [good]);
    }

    #[test]
    fn a_chain_is_a_document_and_its_warnings_are_told() {
        let chain = r#"{"id": "c", "tasks": [{"id": "a", "handler": "noop", "colour": "red",
            "transition": {"branches": [{"operator": "default", "goto": "end"}]}}]}"#;
        assert_eq!(apply(&[chain]).unwrap(), [chain]);
        let read = tenure_spec::read(chain).unwrap();
        let told = warning(Path::new("c.json"), &read.warnings[0]);
        assert!(told.starts_with("warning: c.json: tasks[0].colour: is not known"), "{told}");
        let wrong = chain.replace("noop", "nop");
        assert!(apply(&[&wrong]).unwrap_err().contains("did you mean `noop`?"));
    }

    #[test]
    fn a_version_that_was_there_is_unchanged() {
        let version = v1::Version { agent: "digest".into(), number: 2, ..v1::Version::default() };
        let response =
            |created| v1::PublishVersionResponse { version: Some(version.clone()), created };
        assert_eq!(sentence(&response(true)), "digest version 2 published");
        assert_eq!(sentence(&response(false)), "digest version 2 unchanged");
    }
}
