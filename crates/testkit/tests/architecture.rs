//! The picture in `docs/architecture.md` is the one that cargo sees.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on panics")]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{Dependency, DependencyKind, Metadata, MetadataCommand, Package};

type Arrows = BTreeMap<String, BTreeSet<String>>;

fn metadata() -> Metadata {
    MetadataCommand::new().other_options(["--locked".to_owned()]).exec().unwrap()
}

fn ours(name: &str) -> Option<String> {
    name.strip_prefix("tenure-").map(ToOwned::to_owned)
}

/// The normal dependencies between our packages.
fn drawn_by_cargo(metadata: &Metadata) -> Arrows {
    let used = |package: &Package| {
        let normal = |dependency: &&Dependency| dependency.kind == DependencyKind::Normal;
        let used = package.dependencies.iter().filter(normal);
        used.filter_map(|dependency| ours(&dependency.name)).collect()
    };
    let packages = metadata.workspace_packages();
    packages.iter().map(|package| (ours(&package.name).unwrap(), used(package))).collect()
}

/// The table `crate | may use` of the document.
fn drawn_in_the_document() -> Arrows {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/architecture.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().skip_while(|line| !line.starts_with("| crate | may use |")).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let words = |cell: &str| -> BTreeSet<String> {
        let word = |word: &str| word.trim().trim_matches('`').to_owned();
        let words = cell.split([',', ' ']).map(word);
        words.filter(|word| word.starts_with(|first: char| first.is_ascii_lowercase())).collect()
    };
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let [name, used, ..] = cells[..] else { panic!("a row without two cells: {row}") };
        (words(name).pop_first().unwrap(), words(used))
    })
    .collect()
}

#[test]
fn the_arrows_are_those_of_the_document() {
    let (cargo, document) = (drawn_by_cargo(&metadata()), drawn_in_the_document());
    assert!(document.len() > 5, "the table `| crate | may use |` is missing from the document");
    for (name, used) in &cargo {
        let drawn = document.get(name).unwrap_or_else(|| panic!("`{name}` is not in the table"));
        assert_eq!(used, drawn, "what `{name}` uses (left) is not what is drawn (right)");
    }
    assert_eq!(cargo.keys().collect::<Vec<_>>(), document.keys().collect::<Vec<_>>());
}

/// Everything that a package reaches through normal dependencies.
fn reached(metadata: &Metadata, name: &str) -> BTreeSet<String> {
    let resolve = metadata.resolve.as_ref().unwrap();
    let root = metadata.workspace_packages().into_iter().find(|package| *package.name == name);
    let mut todo = vec![root.unwrap().id.clone()];
    let mut seen = BTreeSet::new();
    while let Some(id) = todo.pop() {
        let node = resolve.nodes.iter().find(|node| node.id == id).unwrap();
        for dependency in &node.deps {
            let normal =
                dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
            if normal && seen.insert(metadata[&dependency.pkg].name.to_string()) {
                todo.push(dependency.pkg.clone());
            }
        }
    }
    seen
}

#[test]
fn what_is_pure_reaches_no_io() {
    let metadata = metadata();
    for pure in ["tenure-core", "tenure-replay", "tenure-spec"] {
        let reached = reached(&metadata, pure);
        for io in ["tokio", "sqlx", "tonic", "hyper", "reqwest", "fastrand"] {
            assert!(!reached.contains(io), "{pure} reaches {io}");
        }
    }
}

#[test]
fn only_the_store_knows_the_database_and_nobody_ships_the_testkit() {
    let metadata = metadata();
    for package in metadata.workspace_packages() {
        let who = package.name.as_str();
        for dependency in &package.dependencies {
            let shipped = dependency.kind == DependencyKind::Normal;
            if dependency.name == "sqlx" && shipped {
                assert!(["tenure-store", "tenure-testkit"].contains(&who), "{who} uses sqlx");
            }
            // The one other package that never ships.
            let shipped = shipped && who != "tenure-conformance";
            assert!(!shipped || dependency.name != "tenure-testkit", "{who} ships the testkit");
        }
    }
}
