//! The examples in the documentation are documents that can be published.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::path::Path;

/// The blocks of YAML on a page.
fn examples(page: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```yaml\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

/// Nodes alone become the graph that they are part of.
fn document(example: &str) -> String {
    if example.starts_with("- ") || example.starts_with("-\n") {
        let rest = example.find("\nlimits:").map_or(example.len(), |place| place + 1);
        let nodes = example[..rest].replace('\n', "\n  ");
        return format!("name: a\nkind: graph\n{}graph:\n  nodes:\n  {nodes}", &example[rest..]);
    }
    example.to_owned()
}

#[test]
fn every_example_can_be_published() {
    for (page, count) in [("graphs.md", 12), ("teams.md", 3)] {
        let examples = examples(page);
        assert_eq!(examples.len(), count, "{page}");
        for example in examples {
            let text = document(&example);
            if let Err(problems) = tenure_spec::parse(&text) {
                panic!("{page}: {problems}\n{text}");
            }
        }
    }
}
