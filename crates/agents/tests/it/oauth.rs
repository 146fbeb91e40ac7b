//! Servers with a login: OAuth as a worker does it.

mod cross_app;
mod desk;

use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;
use tenure_agents::ModelConfig;
use tenure_agents::mcp::{Credentials, Login, Logins, Reach, Servers};
use tenure_sdk::v1;
use tenure_spec::{McpTools, Tool};

use crate::double::Double;
use crate::rig::{Nobody, Rig, failure, output};
use crate::secrets::Log;
use desk::{CLIENT, Desk, SECRET};

/// What every secret and token of these tests contains.
const CANARY: &str = "canary-";

fn machine(more: &str) -> String {
    format!("grant: client_credentials, client_id: {CLIENT}, client_secret: 'env://KEY'{more}")
}

const PERSON: &str = "grant: authorization_code";

/// An agent whose model makes these calls, each in a turn of its own.
fn agent(desk: &Desk, auth: &str, calls: &[&str]) -> String {
    let call = |tool: &&str| format!("{{calls: [{{tool: desk__{tool}, arguments: {{}}}}]}}, ");
    let turns: String = calls.iter().map(call).collect();
    format!(
        "{{name: sample, retry: {{attempts: 2, backoff: 0s}},
        tools: [{{mcp: {{name: desk, url: '{}', auth: {{{auth}}}}}}}],
        model: {{provider: scripted, name: s, script: {{turns: [{turns}{{text: done}}]}}}}}}",
        desk.mcp()
    )
}

/// A worker that keeps logins in a folder, and has the client's secret for this machine.
async fn rig() -> (Rig, TempDir) {
    let mut rig = Rig::with(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    rig.base.logins.credentials = Some(Credentials::new(folder.path()));
    rig.base.secrets.grant("KEY", Some("127.0.0.1"), SECRET).unwrap();
    (rig, folder)
}

async fn told(rig: &Rig, run: &v1::Run, turn: usize, tool: &str) -> Value {
    rig.result(run, &format!("turn/{turn}/call/0/tool:desk__{tool}")).await
}

/// A person who follows the link.
async fn log_in(desk: &Desk, folder: &TempDir, scopes: &[&str]) -> Vec<String> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let login = Login {
        url: desk.mcp(),
        tenant: "default".into(),
        scopes: scopes.iter().map(ToString::to_string).collect(),
        client_id: None,
        client_secret: None,
        port: 0,
        private: false,
    };
    let follow = |link: &str| drop(tokio::spawn(reqwest::get(link.to_owned())));
    login.run(&Credentials::new(folder.path()), follow).await.unwrap()
}

/// NO-SECRET, for everything that the rig has recorded of a run.
async fn assert_clean(rig: &Rig, run: &v1::Run) {
    let recorded = format!("{run:?}{:?}", rig.app.journal(&run.id).await);
    let line = recorded.split(',').find(|part| part.contains(CANARY));
    assert_eq!(line, None);
}

#[tokio::test]
async fn a_worker_logs_in_for_itself() {
    let (rig, _folder) = rig().await;
    let desk = Desk::start().await;
    let run = rig.ended(&agent(&desk, &machine(""), &["echo", "echo"]), Arc::new(Nobody)).await;
    assert_eq!(output(&run), "done");
    assert_eq!(told(&rig, &run, 0, "echo").await, "you sent [key]");
    assert_eq!(desk.grants(), ["client_credentials"], "one token for all calls");
    let form = desk.world().asked[0].clone();
    assert_eq!(
        json!(form),
        json!({
            "grant_type": "client_credentials",
            "client_id": CLIENT,
            "client_secret": SECRET,
            "scope": "desk:read",
            "resource": desk.mcp(),
        })
    );
    assert_clean(&rig, &run).await;
}

#[tokio::test]
async fn a_server_may_ask_a_worker_for_more_scopes_unless_the_specification_says_which() {
    let (rig, _folder) = rig().await;
    let desk = Desk::start().await;
    let run = rig.ended(&agent(&desk, &machine(""), &["write"]), Arc::new(Nobody)).await;
    assert_eq!(told(&rig, &run, 0, "write").await, "you sent [key]");
    let scopes: Vec<_> = desk.world().asked.iter().map(|form| form["scope"].clone()).collect();
    assert_eq!(scopes, ["desk:read", "desk:read desk:write"]);

    let only = machine(", scopes: ['desk:read']");
    let run = rig.ended(&agent(&desk, &only, &["write"]), Arc::new(Nobody)).await;
    let told = told(&rig, &run, 0, "write").await;
    assert_eq!(told[0], "mcp_denied");
    assert!(told[1].as_str().unwrap().contains("add them to `auth.scopes`"), "{told}");
}

#[tokio::test]
async fn a_secret_goes_only_to_the_host_that_it_was_granted_for() {
    let (rig, _folder) = rig().await;
    let desk = Desk::start().await;
    desk.world().more = json!({"token_endpoint": "https://evil.example/token"});
    let run = rig.ended(&agent(&desk, &machine(""), &[]), Arc::new(Nobody)).await;
    assert_eq!(failure(&run).code, "secret_host");
    // Nor anywhere, if the operator has not said where.
    let mut rig = Rig::with(&[]).await;
    rig.base.secrets.grant("KEY", None, SECRET).unwrap();
    let desk = Desk::start().await;
    let run = rig.ended(&agent(&desk, &machine(""), &[]), Arc::new(Nobody)).await;
    let told = failure(&run);
    assert!(told.message.contains("`--tool-secret KEY@127.0.0.1`"), "{told:?}");
    assert_eq!(desk.grants(), [""; 0]);
}

#[tokio::test]
async fn a_wrong_secret_is_refused_once_and_told_without_it() {
    let (mut rig, _folder) = rig().await;
    let desk = Desk::start().await;
    let wrong = "canary-wrong-secret";
    rig.base.secrets.grant("KEY", Some("127.0.0.1"), wrong).unwrap();
    let run = rig.ended(&agent(&desk, &machine(""), &[]), Arc::new(Nobody)).await;
    let told = failure(&run);
    assert_eq!(told.code, "mcp_denied");
    assert!(told.message.contains("invalid_client"), "{told:?}");
    assert_eq!(desk.grants().len(), 1);
    assert_clean(&rig, &run).await;
}

#[tokio::test]
async fn agents_act_for_a_person_who_has_logged_in() {
    let (rig, folder) = rig().await;
    let desk = Desk::start().await;
    let run = rig.ended(&agent(&desk, PERSON, &["echo"]), Arc::new(Nobody)).await;
    let missing = failure(&run).clone();
    assert_eq!((&*missing.code, missing.retryable), ("mcp_consent_missing", false));
    let command = format!("mcp-login {} --scope desk:read`", desk.mcp());
    assert!(missing.message.contains(&command), "{missing:?}");

    let granted = log_in(&desk, &folder, &[]).await;
    assert_eq!(granted, ["desk:read", "offline_access"]);
    let run = rig.app.create("sample", "null").await;
    let run = rig.app.ended(&run).await;
    assert_eq!(told(&rig, &run, 0, "echo").await, "you sent [key]");
    assert_eq!(desk.grants(), ["authorization_code"]);
    assert_clean(&rig, &run).await;
}

#[tokio::test]
async fn a_worker_without_a_folder_says_what_it_lacks() {
    let (mut rig, _folder) = rig().await;
    rig.base.logins = Logins::default();
    let desk = Desk::start().await;
    let run = rig.ended(&agent(&desk, PERSON, &[]), Arc::new(Nobody)).await;
    let told = failure(&run);
    assert_eq!(told.code, "mcp_consent_missing");
    assert!(told.message.contains("`--mcp-credentials DIR`"), "{told:?}");
}

#[tokio::test]
async fn more_scopes_need_another_consent() {
    let (rig, folder) = rig().await;
    let desk = Desk::start().await;
    log_in(&desk, &folder, &[]).await;
    let run = rig.ended(&agent(&desk, PERSON, &["write"]), Arc::new(Nobody)).await;
    let missing = told(&rig, &run, 0, "write").await;
    assert_eq!(missing[0], "mcp_consent_missing");
    let scopes = "--scope desk:read --scope offline_access --scope desk:write`";
    assert!(missing[1].as_str().unwrap().ends_with(scopes), "{missing}");

    log_in(&desk, &folder, &["desk:read", "desk:write"]).await;
    let run = rig.app.create("sample", "null").await;
    let run = rig.app.ended(&run).await;
    assert_eq!(told(&rig, &run, 0, "write").await, "you sent [key]");
}

#[tokio::test]
async fn nobody_is_asked_twice_for_what_is_not_granted() {
    let (rig, folder) = rig().await;
    let desk = Desk::start().await;
    desk.world().narrow = true;
    let granted = log_in(&desk, &folder, &["desk:read", "desk:write"]).await;
    assert_eq!(granted, ["desk:read", "offline_access"]);
    let run = rig.ended(&agent(&desk, PERSON, &["write"]), Arc::new(Nobody)).await;
    assert_eq!(told(&rig, &run, 0, "write").await[0], "mcp_denied");
}

#[tokio::test]
async fn a_token_is_renewed_while_a_run_goes_on() {
    let (rig, folder) = rig().await;
    let desk = Desk::start().await;
    log_in(&desk, &folder, &[]).await;
    let calls = ["echo", "revoke", "echo", "revoke", "echo"];
    let run = rig.ended(&agent(&desk, PERSON, &calls), Arc::new(Nobody)).await;
    assert_eq!(output(&run), "done");
    assert_eq!(told(&rig, &run, 4, "echo").await, "you sent [key]");
    assert_eq!(desk.grants(), ["authorization_code", "refresh_token", "refresh_token"]);
    assert_clean(&rig, &run).await;
}

#[tokio::test]
async fn a_token_is_renewed_before_it_is_over() {
    let (rig, folder) = rig().await;
    let desk = Desk::start().await;
    desk.world().lasts = Some(10);
    log_in(&desk, &folder, &[]).await;
    desk.world().lasts = Some(3_600);
    let run = rig.ended(&agent(&desk, PERSON, &["echo"]), Arc::new(Nobody)).await;
    assert_eq!(output(&run), "done");
    assert_eq!(desk.grants(), ["authorization_code", "refresh_token"]);
    let first = desk.world().tokens[1].clone();
    let used = desk.world().calls.iter().any(|call| call.ends_with(&first));
    assert!(!used, "it might not have arrived in time");
}

#[tokio::test]
async fn a_login_that_is_over_is_told_with_what_to_do() {
    let (rig, folder) = rig().await;
    let desk = Desk::start().await;
    log_in(&desk, &folder, &[]).await;
    let run = rig.ended(&agent(&desk, PERSON, &["forget", "echo"]), Arc::new(Nobody)).await;
    let over = told(&rig, &run, 1, "echo").await;
    assert_eq!(over[0], "mcp_consent_missing");
    let message = over[1].as_str().unwrap();
    assert!(message.contains("log in again") && message.contains("mcp-login"), "{over}");
    assert_clean(&rig, &run).await;

    log_in(&desk, &folder, &[]).await;
    let run = rig.app.create("sample", "null").await;
    let run = rig.app.ended(&run).await;
    assert_eq!(told(&rig, &run, 0, "forget").await, "you sent [key]");
}

/// The server as a worker of its own sees it.
fn worker(desk: &Desk, folder: &TempDir) -> (Arc<Servers>, McpTools) {
    let credentials = Some(Credentials::new(folder.path()));
    let logins = Logins { credentials, private: false };
    let servers = Servers::new(Reach { logins, ..Reach::default() }).unwrap();
    let spec = tenure_spec::parse(&agent(desk, PERSON, &[])).unwrap();
    let Some(Tool::Mcp(server)) = spec.tools.first().cloned() else { panic!("a server") };
    (Arc::new(servers), *server)
}

#[tokio::test]
async fn workers_with_one_folder_renew_a_token_once() {
    let desk = Desk::start().await;
    let folder = tempfile::tempdir().unwrap();
    log_in(&desk, &folder, &[]).await;
    let workers: Vec<_> = (0..4).map(|_| worker(&desk, &folder)).collect();
    for round in 1..=3 {
        let lists = workers.iter().flat_map(|worker| [worker, worker]).map(|(servers, server)| {
            let (servers, server) = (servers.clone(), server.clone());
            tokio::spawn(async move { servers.list("default", &server).await })
        });
        for list in lists.collect::<Vec<_>>() {
            assert_eq!(list.await.unwrap().unwrap().tools.len(), 4);
        }
        assert_eq!(desk.grants().len(), round, "a refresh token is good once");
        desk.revoke();
    }
    let (servers, server) = &workers[0];
    let other = servers.list("other", server).await.unwrap_err();
    assert_eq!(other.code, "mcp_consent_missing", "it is another tenant's login");
}

#[tokio::test]
async fn what_a_refresh_token_was_spent_on_is_kept_though_nobody_waits_for_it() {
    let desk = Desk::start().await;
    let folder = tempfile::tempdir().unwrap();
    log_in(&desk, &folder, &[]).await;
    desk.revoke();
    let hold = Arc::new(tokio::sync::Semaphore::new(0));
    desk.world().hold = Some(hold.clone());
    let (servers, server) = worker(&desk, &folder);
    let list = tokio::spawn(async move { servers.list("default", &server).await });
    while desk.grants().len() < 2 {
        tokio::task::yield_now().await;
    }
    list.abort();
    assert!(list.await.unwrap_err().is_cancelled());
    hold.add_permits(1);
    let (servers, server) = worker(&desk, &folder);
    assert_eq!(servers.list("default", &server).await.unwrap().tools.len(), 4);
    assert_eq!(desk.grants(), ["authorization_code", "refresh_token"]);
}

#[tokio::test]
async fn what_a_server_says_of_others_is_refused() {
    type Said = fn(&Desk) -> (Value, Value);
    let cases: [(Said, &str, &str); 5] = [
        (
            |desk| {
                (
                    json!({"resource": "https://x.example/mcp", "authorization_servers": [desk.url]}),
                    json!({}),
                )
            },
            "mcp_auth",
            "x.example",
        ),
        (|_| (Value::Null, json!({"issuer": "https://x.example"})), "mcp_auth", "mismatch"),
        (
            |_| (Value::Null, json!({"token_endpoint": "http://x.example/token"})),
            "mcp_auth",
            "is not https",
        ),
        (
            |_| (Value::Null, json!({"authorization_endpoint": "javascript:alert(1)"})),
            "mcp_auth",
            "is not https",
        ),
        (
            |desk| {
                let servers = json!(["https://169.254.169.254/"]);
                let resource = format!("{}/mcp", desk.url);
                (json!({"resource": resource, "authorization_servers": servers}), json!({}))
            },
            "mcp_auth",
            "none published usable metadata",
        ),
    ];
    for (said, code, part) in cases {
        let (rig, _folder) = rig().await;
        let desk = Desk::start().await;
        let (metadata, more) = said(&desk);
        desk.world().metadata = Some(metadata).filter(|metadata| !metadata.is_null());
        desk.world().more = more;
        let run = rig.ended(&agent(&desk, &machine(""), &[]), Arc::new(Nobody)).await;
        let told = failure(&run);
        assert_eq!(told.code, code, "{told:?}");
        assert!(told.message.contains(part), "{told:?}");
        assert_eq!(desk.grants(), [""; 0]);
    }
}

#[tokio::test]
async fn a_token_follows_no_redirect() {
    let (rig, folder) = rig().await;
    let desk = Desk::start().await;
    log_in(&desk, &folder, &[]).await;
    let other = Double::start(vec![]).await;
    desk.world().redirect = Some(format!("{}/mcp", other.url));
    let run = rig.ended(&agent(&desk, PERSON, &[]), Arc::new(Nobody)).await;
    assert_eq!(failure(&run).code, "mcp_unreachable");
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn an_authorization_server_that_was_exchanged_gets_no_refresh_token() {
    let (rig, folder) = rig().await;
    let desk = Desk::start().await;
    log_in(&desk, &folder, &[]).await;
    desk.revoke();
    let other = Desk::start().await;
    let servers = json!([other.url]);
    let resource = desk.mcp();
    desk.world().metadata = Some(json!({"resource": resource, "authorization_servers": servers}));
    let run = rig.ended(&agent(&desk, PERSON, &[]), Arc::new(Nobody)).await;
    let told = failure(&run);
    assert_eq!(told.code, "mcp_consent_missing");
    assert!(told.message.contains("has changed its authorization server"), "{told:?}");
    assert_eq!(other.grants(), [""; 0]);
}

#[tokio::test]
async fn no_token_is_in_a_log() {
    let log = Log::default();
    // With a single subscriber tracing lets whichever thread comes first decide what is heard.
    let _other = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    // As services have it: what the MCP library says below a warning is not written.
    let filter = tracing_subscriber::EnvFilter::new("trace,rmcp=warn");
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
    let _listening = tracing::subscriber::set_default(lines.with_writer(log.clone()).finish());
    let (rig, folder) = rig().await;
    let desk = Desk::start().await;
    log_in(&desk, &folder, &[]).await;
    for auth in [PERSON, &machine("")] {
        let calls = ["echo", "revoke", "echo", "write", "forget", "echo"];
        rig.publish(&agent(&desk, auth, &calls)).await;
        rig.work(ModelConfig::default(), Arc::new(Nobody));
        let run = rig.app.create("sample", "null").await;
        let run = rig.app.ended(&run).await;
        assert_clean(&rig, &run).await;
    }
    let log = log.text();
    assert!(log.contains("hyper_util"), "it is this log");
    assert!(desk.world().tokens.len() > 4);
    let line = log.lines().find(|line| line.contains(CANARY));
    assert_eq!(line, None);
}
