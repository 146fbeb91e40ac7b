//! Logins with an identity token.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::json;

use super::desk::{CLIENT, Desk, IDENTITY};
use super::{agent, assert_clean, rig, told};
use crate::rig::{Nobody, Rig, failure, output};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// What a specification says, with the identity provider's token endpoint.
fn auth(endpoint: &str) -> String {
    format!(
        "grant: cross_app, client_id: {CLIENT}, client_secret: 'env://KEY',
        identity: {{token: 'env://ME', token_endpoint: '{endpoint}', client_id: worker}}"
    )
}

fn own(desk: &Desk) -> String {
    auth(&format!("{}/identity", desk.url))
}

#[tokio::test]
async fn an_identity_provider_introduces_a_worker() {
    let (mut rig, folder) = rig().await;
    let file = folder.path().join("identity");
    rig.base.secrets.grant_file("ME", "127.0.0.1", file.clone());
    std::fs::write(&file, IDENTITY).unwrap();
    let desk = Desk::start().await;
    let calls = ["echo", "echo", "revoke", "echo"];
    let run = rig.ended(&agent(&desk, &own(&desk), &calls), Arc::new(Nobody)).await;
    assert_eq!(output(&run), "done");
    assert_eq!(told(&rig, &run, 3, "echo").await, "you sent [key]");
    assert_eq!(desk.grants(), [EXCHANGE, BEARER, EXCHANGE, BEARER], "one token until it is over");
    let asked = desk.world().asked.clone();
    assert_eq!(
        json!(asked[0]),
        json!({
            "grant_type": EXCHANGE,
            "requested_token_type": "urn:ietf:params:oauth:token-type:id-jag",
            "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
            "subject_token": IDENTITY,
            "audience": desk.url,
            "resource": desk.mcp(),
            "client_id": "worker",
            "scope": "desk:read",
        })
    );
    assert_eq!(asked[1]["assertion"], "canary-introduction-0");
    assert_eq!(asked[1]["basic"], "Basic dGVudXJlLWRlc2s6Y2FuYXJ5LWNsaWVudC1zZWNyZXQ=");
    assert_clean(&rig, &run).await;
}

async fn refused(rig: Rig, desk: &Desk, auth: &str) -> (String, String) {
    let run = rig.ended(&agent(desk, auth, &[]), Arc::new(Nobody)).await;
    assert_clean(&rig, &run).await;
    let told = failure(&run);
    (told.code.clone(), told.message.clone())
}

#[tokio::test]
async fn an_identity_that_is_not_known_is_refused_once_and_told_without_it() {
    let (mut rig, _folder) = rig().await;
    rig.base.secrets.grant("ME", Some("127.0.0.1"), "canary-old-identity").unwrap();
    let desk = Desk::start().await;
    let (code, message) = refused(rig, &desk, &own(&desk)).await;
    assert_eq!(code, "mcp_denied");
    assert!(
        message.contains("identity provider") && message.contains("invalid_grant"),
        "{message}"
    );
    assert_eq!(desk.grants(), [EXCHANGE]);
}

#[tokio::test]
async fn an_identity_goes_only_to_the_host_that_it_was_granted_for() {
    let (mut rig, _folder) = rig().await;
    rig.base.secrets.grant("ME", Some("127.0.0.1"), IDENTITY).unwrap();
    let desk = Desk::start().await;
    let (code, message) = refused(rig, &desk, &auth("https://evil.example/token")).await;
    assert_eq!(code, "secret_host");
    assert!(message.contains("`ME` to `127.0.0.1` only"), "{message}");
    assert_eq!(desk.grants(), [""; 0]);
}

#[tokio::test]
async fn no_identity_is_shown_for_a_login_that_leads_elsewhere() {
    let (mut rig, _folder) = rig().await;
    rig.base.secrets.grant("ME", Some("127.0.0.1"), IDENTITY).unwrap();
    let desk = Desk::start().await;
    desk.world().more = json!({"token_endpoint": "https://evil.example/token"});
    let (code, _) = refused(rig, &desk, &own(&desk)).await;
    assert_eq!(code, "secret_host");
    assert_eq!(desk.grants(), [""; 0]);
}

/// PEM of a new key.
fn key() -> String {
    let curve = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let key = EcdsaKeyPair::generate_pkcs8(curve, &SystemRandom::new()).unwrap();
    let body = BASE64_STANDARD.encode(key.as_ref());
    format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
}

#[tokio::test]
async fn clients_show_who_they_are_to_both() {
    let (mut rig, _folder) = rig().await;
    rig.base.secrets.grant("ME", Some("127.0.0.1"), IDENTITY).unwrap();
    rig.base.secrets.grant("PEM", Some("127.0.0.1"), &key()).unwrap();
    let desk = Desk::start().await;
    let auth = own(&desk)
        .replace("client_secret", "private_key")
        .replace("env://KEY", "env://PEM")
        .replace("client_id: worker", "client_id: 'a b', client_secret: 'env://KEY'");
    let run = rig.ended(&agent(&desk, &auth, &["echo"]), Arc::new(Nobody)).await;
    assert_eq!(told(&rig, &run, 0, "echo").await, "you sent [key]");
    let asked = desk.world().asked.clone();
    // `a+b:canary-client-secret`
    assert_eq!(asked[0]["basic"], "Basic YStiOmNhbmFyeS1jbGllbnQtc2VjcmV0");
    assert!(!asked[0].contains_key("client_id"));
    assert!(asked[1]["client_assertion_type"].ends_with("client-assertion-type:jwt-bearer"));
    assert_clean(&rig, &run).await;
}

#[tokio::test]
async fn no_other_token_is_taken_for_an_introduction() {
    let (mut rig, _folder) = rig().await;
    rig.base.secrets.grant("ME", Some("127.0.0.1"), IDENTITY).unwrap();
    let desk = Desk::start().await;
    desk.world().introduced_as = "access_token";
    let (code, message) = refused(rig, &desk, &own(&desk)).await;
    assert_eq!(code, "mcp_auth");
    assert!(message.contains("another token"), "{message}");
    assert_eq!(desk.grants(), [EXCHANGE]);
}
