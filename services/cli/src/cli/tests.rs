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
fn an_agent_may_name_a_version_or_an_alias() {
    let agent: AgentRef = "digest@stable".parse().unwrap();
    assert_eq!((agent.agent.as_str(), agent.version.as_str()), ("digest", "stable"));
    assert_eq!("digest".parse::<AgentRef>().unwrap().version, "");
    assert!("digest@".parse::<AgentRef>().is_err());
    assert!("Digest".parse::<AgentRef>().is_err());
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
fn weights_labels_and_states_are_read() {
    assert_eq!(target("3"), Ok((3, 1)));
    assert_eq!(target("3=9"), Ok((3, 9)));
    assert!(target("0").is_err() && target("3=0").is_err() && target("x").is_err());
    assert_eq!(label("a=b=c"), Ok(("a".into(), "b=c".into())));
    assert!(label("=b").is_err() && label("a").is_err());
    assert!(state("done").unwrap_err().contains("succeeded"));
}

#[test]
fn what_makes_no_sense_together_is_refused() {
    assert!(parse("tenure dev --exit").is_err());
    assert!(parse("tenure run digest --json").is_err());
    assert!(parse("tenure apply").is_err());
    assert!(parse("tenure agents alias digest stable").is_err());
}

#[test]
fn several_files_follow_one_flag() {
    let Command::Apply(apply) = parse("tenure apply -f a.yaml b.yaml -f c.yaml").unwrap().command
    else {
        panic!("not apply");
    };
    assert_eq!(apply.files.len(), 3);
}
