//! Every example is a document that is accepted as it is, and its README names what there is.

use std::fs;
use std::path::{Path, PathBuf};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What is in a folder, sorted.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut entries: Vec<_> = entries.collect();
    entries.sort();
    entries
}

/// The folders of the examples.
fn examples() -> Vec<PathBuf> {
    let examples = entries(&repository().join("examples")).into_iter();
    let examples: Vec<_> = examples.filter(|path| path.is_dir()).collect();
    assert!(examples.len() >= 6, "{examples:?}");
    examples
}

/// The paths below `examples/` that a text names, wherever they stand.
fn named(text: &str) -> impl Iterator<Item = &str> {
    let ends = |c: char| c.is_whitespace() || "`])'\"|,;".contains(c);
    // Crates have examples too.
    let places = text.match_indices("examples/").filter(|(at, _)| !text[..*at].ends_with("sdk/"));
    places.map(move |(place, _)| text[place..].split(ends).next().unwrap().trim_end_matches('.'))
}

/// The targets of a text's links to other files, without their anchors.
fn linked(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    targets.filter(|target| !target.is_empty() && !target.contains("://"))
}

#[test]
fn every_document_is_accepted_without_a_warning() {
    for example in examples() {
        let mut documents = 0;
        for path in entries(&example) {
            match path.file_name().unwrap().to_str().unwrap() {
                "README.md" => {}
                // What a worker plays in place of its model.
                "model.yaml" => assert!(tenure_spec::script(&text(&path)).is_ok(), "{path:?}"),
                // Programs are executed by tests of their own.
                _ if path.is_dir() || path.extension().is_some_and(|kind| kind == "sh") => {}
                _ => {
                    let read = tenure_spec::read(&text(&path));
                    let read = read.unwrap_or_else(|why| panic!("{}: {why}", path.display()));
                    assert!(read.warnings.is_empty(), "{path:?}: {:?}", read.warnings);
                    documents += 1;
                }
            }
        }
        assert!(documents > 0, "{example:?} has no document");
    }
}

#[test]
fn readmes_name_files_that_exist() {
    let root = repository();
    let readmes = examples().into_iter().map(|example| example.join("README.md"));
    let readmes = readmes.chain([root.join("examples/README.md"), root.join("README.md")]);
    for readme in readmes {
        let (said, folder) = (text(&readme), readme.parent().unwrap());
        let named = named(&said).map(|path| root.join(path));
        for path in named.chain(linked(&said).map(|path| folder.join(path))) {
            assert!(path.exists(), "{} names {}", readme.display(), path.display());
        }
    }
}

#[test]
fn the_list_has_every_example() {
    let list = text(&repository().join("examples/README.md"));
    for example in examples() {
        let name = example.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(list.contains(&format!("[{name}]({name}/)")), "{name} is not on the list");
    }
}

#[test]
fn the_guide_is_right() {
    let guide = text(&repository().join("docs/agents.md"));
    let blocks: Vec<_> = guide.split("```yaml\n").skip(1).collect();
    assert!(blocks.len() > 5);
    for block in blocks {
        let block = block.split("```").next().unwrap();
        let head = "name: part\nmodel: {provider: openai, name: m}\n";
        let head = if block.starts_with("name:") { "" } else { head };
        let read = tenure_spec::read(&format!("{head}{block}"));
        let read = read.unwrap_or_else(|why| panic!("{block}\n{why}"));
        assert!(read.warnings.is_empty(), "{block}: {:?}", read.warnings);
    }
}
