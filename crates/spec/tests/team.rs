//! Teams as documents: what is read, what is refused, and where.

use tenure_spec::team::Pattern;
use tenure_spec::{Kind, parse};

const DESK: &str = "
name: desk
kind: team
model: {provider: ollama, name: m}
team:
  members:
  - name: triage
    description: Finds out what it is about.
    instructions: 'The customer is {{.customer}}.'
    sets: [topic]
  - {name: refunds, description: Pays money back., tools: [read_file], transfers: [triage, person]}
  - {name: writer, description: Writes letters., model: {provider: openai, name: gpt-5}}
  entry: triage
  pattern: model
  handoffs:
  - {from: triage, to: refunds, when: variables.topic == 'refund'}
  - {from: '*', to: person, when: 'message.text.endsWith(\"?\")'}
  - {from: person, to: triage, when: turn > 3}
  - {to: end, when: turn > 12}
  person: {assignee: ann, timeout: 2d}
  selector: {instructions: Be fair.}
  turns: 30
  until: message.text.contains('DONE')
  variables: {customer: Bob, topic: ''}
  output: conversation
";

fn problems(text: &str) -> String {
    parse(text).expect_err(text).to_string()
}

#[test]
fn a_team_is_read_and_reads_back() {
    let spec = parse(DESK).unwrap();
    let team = spec.team.as_ref().unwrap();
    assert_eq!((spec.kind, team.pattern, team.handoffs.len()), (Kind::Team, Pattern::Model, 4));
    assert_eq!(spec.limits.turns, 200);
    let text = String::from_utf8(spec.canonical()).unwrap();
    assert_eq!(parse(&text).unwrap(), spec);
    let schema = jsonschema::draft202012::new(&tenure_spec::schema()).unwrap();
    let document = serde_json::from_str(&text).unwrap();
    let problems: Vec<_> = schema.iter_errors(&document).map(|error| error.to_string()).collect();
    assert!(problems.is_empty(), "{problems:?}");
    let limited = parse(&format!("{DESK}\nlimits: {{turns: 20}}")).unwrap();
    assert_eq!(limited.limits.turns, 20);
    let first = parse(&DESK.replace("entry: triage", "turns: 3").replace("  turns: 30\n", ""));
    assert_eq!(first.unwrap().team.unwrap().entry, "triage");
}

#[test]
fn all_mistakes_of_a_team_are_told_at_once() {
    let text = "
name: a
kind: team
instructions: Be nice.
team:
  members:
  - {name: one, sets: [topc], transfers: [tow]}
  - {name: end, description: b, instructions: '{{.x'}
  - {name: one, description: c, tool: []}
  - {name: two words, description: d}
  entry: oen
  pattern: modle
  handoffs:
  - {from: one, to: three, when: mesage.text == ''}
  - {from: one, when: turn >}
  person: {asignee: ann}
  turns: 0
  until: vars.x
  variables: {topic: 1}
  output: all
";
    insta::assert_snapshot!(problems(text));
}

#[test]
fn a_team_is_more_than_one_and_rules_are_written() {
    let team = |team: &str| problems(&format!("{{name: a, kind: team, team: {team}}}"));
    let member = |name: &str| format!("{{name: {name}, description: d}}");
    let (one, two) = (member("one"), member("two"));
    insta::assert_snapshot!(team(&format!("{{members: [{one}], pattern: random}}")), @"team.members: is no team (write at least two members, or use `kind: agent`)");
    insta::assert_snapshot!(team(&format!("{{members: [{one}, {two}], pattern: rules}}")), @"team.handoffs: are missing: the pattern is `rules` (write them, or let a model choose: `pattern: model`)");
    let many: Vec<_> = (0..51).map(|n| member(&format!("m{n}"))).collect();
    assert!(
        team(&format!("{{members: [{}], pattern: auto}}", many.join(", ")))
            .contains("more than 50")
    );
}

#[test]
fn what_belongs_to_another_kind_is_refused() {
    assert!(problems("{name: a, kind: team}").starts_with("team: is missing"));
    let agent = "{name: a, model: {provider: ollama, name: m}, team: {}}";
    assert!(problems(agent).starts_with("team: only a team has members"));
}
