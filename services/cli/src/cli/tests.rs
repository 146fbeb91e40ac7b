use clap::CommandFactory as _;

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn global_options_stand_before_and_behind_the_command() {
    for line in ["tenure --tenant acme runs list", "tenure runs list --tenant acme"] {
        assert_eq!(parse(line).unwrap().global.tenant.as_str(), "acme");
    }
    let cli = parse("tenure worker --url http://10.0.0.1:7700 --tenant acme").unwrap();
    assert_eq!(cli.global.url, "http://10.0.0.1:7700");
}

#[test]
fn a_worker_shows_its_backends_as_every_command_does() {
    for line in [
        "tenure worker backends --models models.toml --output json",
        "tenure --output json worker backends --models models.toml",
    ] {
        let cli = parse(line).unwrap();
        assert_eq!(cli.global.output, Output::Json);
        let Command::Worker(worker) = cli.command else { panic!("{line}") };
        let Some(tenure_worker::Command::Backends(look)) = worker.config.command else {
            panic!("{line}")
        };
        assert_eq!((look.output, look.models), (Output::Json, "models.toml".into()));
    }
}

#[test]
fn what_makes_no_sense_together_is_refused() {
    assert!(parse("tenure dev --exit").is_err());
    assert!(parse("tenure run digest --json").is_err());
    assert!(parse("tenure apply").is_err());
    assert!(parse("tenure agents alias digest stable").is_err());
    assert!(parse("tenure run digest --backoff 1s").is_err());
    assert!(parse("tenure run digest --concurrency-policy reject").is_err());
    assert!(parse("tenure inbox approve").is_err());
    assert!(parse("tenure inbox approve int_1 --all-open").is_err());
    assert!(parse("tenure inbox reject int_1").is_err(), "without a reason");
    let patch = "tenure runs patch run_1 --key a --reason x";
    assert!(parse(patch).is_err(), "without a result");
    assert!(parse(&format!("{patch} --skip --result 1")).is_err(), "with two");
    assert!(parse(&format!("{patch} --skip")).is_ok());
}

#[test]
fn several_files_follow_one_flag() {
    let Command::Apply(apply) = parse("tenure apply -f a.yaml b.yaml -f c.yaml").unwrap().command
    else {
        panic!("not apply");
    };
    assert_eq!(apply.files.len(), 3);
}

#[test]
fn the_last_word_of_an_answer_is_its_value() {
    let answered = |line| match parse(line).unwrap().command {
        Command::Inbox(Inbox::Answer { which, value, .. }) => (which.ids, value),
        _ => panic!("not an answer"),
    };
    let (ids, value) = answered("tenure inbox answer int_1 int_2 blue --actor ann");
    assert_eq!((ids, &*value), (vec!["int_1".into(), "int_2".into()], "blue"));
    assert_eq!(answered("tenure inbox answer --all-open blue"), (vec![], "blue".into()));
    assert!(parse("tenure inbox answer int_1").is_err());
}

#[test]
fn priorities_may_be_negative() {
    let Command::Run(run) = parse("tenure run digest --priority -3").unwrap().command else {
        panic!("not run");
    };
    assert_eq!(run.terms.priority, -3);
    assert!(parse("tenure runs prioritize run_1 -9").is_ok());
}
