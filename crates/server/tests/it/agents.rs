//! Tenants, agents, versions, aliases.

use insta::assert_snapshot;
use tenure_sdk::v1;
use tenure_testkit::app::App;

use crate::said;

async fn publish(app: &App, document: &str) -> Result<v1::PublishVersionResponse, tonic::Status> {
    let request =
        v1::PublishVersionRequest { tenant: "default".into(), document: document.to_owned() };
    Ok(app.client.agents().publish_version(request).await?.into_inner())
}

async fn version(app: &App, selector: &str) -> Result<u32, tonic::Status> {
    let request = v1::GetVersionRequest {
        tenant: "default".into(),
        agent: "hello".into(),
        version: selector.into(),
    };
    Ok(app.client.agents().get_version(request).await?.into_inner().number)
}

#[tokio::test]
async fn the_same_content_twice_is_the_same_version() {
    let app = App::start().await;
    let first = publish(&app, "{name: hello, kind: external, pool: a}").await.unwrap();
    let again = publish(&app, "name: hello\npool: a\nkind: external\n").await.unwrap();
    let next = publish(&app, "{name: hello, kind: external, pool: b}").await.unwrap();
    assert!(first.created && !again.created && next.created);
    assert_eq!(first.version, again.version);
    assert_eq!(next.version.unwrap().number, 2);
    let (newest, one) = (version(&app, "").await, version(&app, "1").await);
    assert_eq!((newest.unwrap(), one.unwrap()), (2, 1));
    assert_snapshot!(said(&version(&app, "3").await.unwrap_err()), @"NotFound: agent `hello` has no version 3");
}

#[tokio::test]
async fn versions_published_at_the_same_time_are_numbered_without_gaps() {
    let app = App::start().await;
    let mut published = tokio::task::JoinSet::new();
    for pool in 0..20 {
        let client = app.client.clone();
        published.spawn(async move {
            let document = format!("{{name: hello, kind: external, pool: p{pool}}}");
            let request = v1::PublishVersionRequest { tenant: "default".into(), document };
            let response = client.agents().publish_version(request).await.unwrap().into_inner();
            response.version.unwrap().number
        });
    }
    let mut numbers = published.join_all().await;
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=20).collect::<Vec<u32>>());
}

#[tokio::test]
async fn all_problems_of_a_document_are_reported_at_once() {
    let app = App::start().await;
    let document = "
name: Not A Name
colour: blue
model: {provider: opnai, name: '', temperature: hot, api_key: sk-secret}
tools: [read_fil, {name: http_request}]
limits: {turns: 0, time: soon}
retry: {attempts: 99, backoff: 5}
";
    let status = publish(&app, document).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    let lines = status.message().lines().filter(|line| line.contains(':')).count();
    assert!(lines > 10, "{}", status.message());
    for part in ["name", "colour", "model.provider", "model.api_key", "tools[0]", "limits.turns"] {
        assert!(status.message().contains(part), "{part}: {}", status.message());
    }
    assert!(!status.message().contains("sk-secret"), "a value that may be a key came back");
}

#[tokio::test]
async fn aliases_point_to_versions_that_exist() {
    let app = App::start().await;
    for pool in ["a", "b"] {
        publish(&app, &format!("{{name: hello, kind: external, pool: {pool}}}")).await.unwrap();
    }
    let set = async |alias: &str, targets: &[(u32, u32)]| {
        let target =
            |(version, weight): &(u32, u32)| v1::AliasTarget { version: *version, weight: *weight };
        let request = v1::SetAliasRequest {
            tenant: "default".into(),
            agent: "hello".into(),
            alias: alias.into(),
            targets: targets.iter().map(target).collect(),
        };
        app.client.agents().set_alias(request).await.map(tonic::Response::into_inner)
    };
    set("stable", &[(1, 1)]).await.unwrap();
    assert_eq!(version(&app, "stable").await.unwrap(), 1);
    set("stable", &[(2, 1)]).await.unwrap();
    assert_eq!(version(&app, "stable").await.unwrap(), 2);
    assert_snapshot!(said(&set("stable", &[(9, 1)]).await.unwrap_err()), @"NotFound: agent `hello` has no version 9");
    assert_snapshot!(said(&set("stable", &[]).await.unwrap_err()), @"InvalidArgument: alias `stable` needs at least one version");
    assert_snapshot!(said(&set("12", &[(1, 1)]).await.unwrap_err()), @"InvalidArgument: alias `12` reads like a version's number");
    assert_snapshot!(said(&version(&app, "canary").await.unwrap_err()), @"NotFound: agent `hello` has no alias `canary`");
}

#[tokio::test]
async fn unknown_and_taken_names_are_named() {
    let app = App::start().await;
    let agent = v1::CreateAgentRequest { tenant: "default".into(), name: "hello".into() };
    app.client.agents().create_agent(agent.clone()).await.unwrap();
    let taken = app.client.agents().create_agent(agent).await.unwrap_err();
    assert_snapshot!(said(&taken), @"AlreadyExists: agent `hello` exists");
    let unversioned = version(&app, "").await.unwrap_err();
    assert_snapshot!(said(&unversioned), @"FailedPrecondition: agent `hello` has no version yet");
    let foreign = v1::GetAgentRequest { tenant: "other".into(), agent: "hello".into() };
    let foreign = app.client.agents().get_agent(foreign).await.unwrap_err();
    assert_snapshot!(said(&foreign), @"NotFound: there is no tenant `other`");
    let wrong = v1::GetAgentRequest { tenant: "default".into(), agent: "Hello!".into() };
    let wrong = app.client.agents().get_agent(wrong).await.unwrap_err();
    assert_snapshot!(said(&wrong), @"InvalidArgument: agent: `Hello!` is not a name: use 1 to 128 of a-z, 0-9, `.`, `_`, `-`, with a letter or digit at both ends");
}

#[tokio::test]
async fn lists_go_on_where_their_page_ended() {
    let app = App::start().await;
    for number in 0..5 {
        app.publish(&format!("agent-{number}")).await;
    }
    let (mut names, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListAgentsRequest { tenant: "default".into(), page_size: 2, page_token };
        let page = app.client.agents().list_agents(request).await.unwrap().into_inner();
        assert!(page.agents.len() <= 2);
        names.extend(page.agents.into_iter().map(|agent| agent.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["agent-0", "agent-1", "agent-2", "agent-3", "agent-4"]);
}
