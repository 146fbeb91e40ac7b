//! An MCP server with a login, its authorization server and an identity provider, at one address.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use reqwest::Url;
use serde_json::{Value, json};
use tenure_sdk::Digest;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// What the server's client is known by, where it is known.
pub(crate) const CLIENT: &str = "tenure-desk";
pub(crate) const SECRET: &str = "canary-client-secret";
/// Whom the identity provider knows.
pub(crate) const IDENTITY: &str = "canary-identity-token";
/// They say what they were sent. After `revoke` no access token is good, after `forget` no refresh
/// token either. `write` needs the scope `desk:write`.
const TOOLS: [&str; 4] = ["echo", "revoke", "forget", "write"];

/// Both, until it is dropped.
#[derive(Clone)]
pub(crate) struct Desk {
    /// Without a path.
    pub(crate) url: String,
    world: Arc<Mutex<World>>,
}

/// What they know and say.
#[derive(Default)]
pub(crate) struct World {
    url: String,
    /// Access tokens that are good, with their scopes.
    access: BTreeMap<String, BTreeSet<String>>,
    /// Refresh tokens that are good, with their scopes; each is good once.
    refresh: BTreeMap<String, BTreeSet<String>>,
    /// Codes that were given out: challenge and scopes.
    codes: BTreeMap<String, (String, BTreeSet<String>)>,
    /// What identities were introduced with.
    introductions: Vec<String>,
    /// The kind of token that the identity provider gives.
    pub(crate) introduced_as: &'static str,
    /// Every token that there ever was.
    pub(crate) tokens: Vec<String>,
    /// The forms that the token endpoint was given.
    pub(crate) asked: Vec<BTreeMap<String, String>>,
    /// Tokens that the server was sent, and the methods that it was asked for.
    pub(crate) calls: Vec<String>,
    /// How long access tokens last, in seconds, as far as the client is told.
    pub(crate) lasts: Option<u64>,
    /// What the server says of its resource and its authorization server, if not what is so.
    pub(crate) metadata: Option<Value>,
    /// What the authorization server says of itself beside what is so.
    pub(crate) more: Value,
    /// Whether nobody is granted the scope `desk:write`.
    pub(crate) narrow: bool,
    /// Refreshes wait for one of these each.
    pub(crate) hold: Option<Arc<Semaphore>>,
    /// Where the server sends whoever comes.
    pub(crate) redirect: Option<String>,
}

impl Desk {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let world = Arc::new(Mutex::new(World {
            url: url.clone(),
            introduced_as: "id-jag",
            ..World::default()
        }));
        let routes = Router::new()
            .route("/mcp", post(mcp))
            .route("/.well-known/oauth-protected-resource/mcp", get(resource))
            .route("/.well-known/oauth-authorization-server", get(metadata))
            .route("/register", post(register))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/identity", post(identity))
            .with_state(world.clone());
        tokio::spawn(axum::serve(listener, routes).into_future());
        Self { url, world }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub(crate) fn mcp(&self) -> String {
        format!("{}/mcp", self.url)
    }

    /// The grants that the token endpoint was asked for.
    pub(crate) fn grants(&self) -> Vec<String> {
        self.world().asked.iter().map(|form| form["grant_type"].clone()).collect()
    }

    /// No access token is good any more; refresh tokens are.
    pub(crate) fn revoke(&self) {
        self.world().access.clear();
    }
}

impl World {
    fn tokens(&mut self, scopes: BTreeSet<String>, refresh: bool) -> Value {
        let number = self.tokens.len();
        let access = format!("canary-access-{number}");
        let mut said = json!({"access_token": access, "token_type": "Bearer"});
        if let Some(seconds) = self.lasts {
            said["expires_in"] = json!(seconds);
        }
        if !scopes.is_empty() {
            said["scope"] = json!(scopes.iter().cloned().collect::<Vec<_>>().join(" "));
        }
        if refresh {
            let token = format!("canary-refresh-{number}");
            said["refresh_token"] = json!(token);
            self.tokens.push(token.clone());
            self.refresh.insert(token, scopes.clone());
        }
        self.tokens.push(access.clone());
        self.access.insert(access, scopes);
        said
    }
}

type Shared = State<Arc<Mutex<World>>>;

fn json_of(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn form(text: &str) -> BTreeMap<String, String> {
    let url = Url::parse(&format!("http://form/?{text}")).unwrap();
    url.query_pairs().map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
}

/// The form, with the client that a header names as `basic`.
fn asked(headers: &HeaderMap, body: &str) -> BTreeMap<String, String> {
    let mut asked = form(body);
    if let Some(basic) = headers.get(header::AUTHORIZATION) {
        asked.insert("basic".into(), basic.to_str().unwrap().into());
    }
    asked
}

fn scopes(text: Option<&String>) -> BTreeSet<String> {
    text.into_iter().flat_map(|text| text.split_whitespace()).map(str::to_owned).collect()
}

async fn resource(State(world): Shared) -> Response {
    let world = world.lock().unwrap();
    let url = &world.url;
    let said = json!({"resource": format!("{url}/mcp"), "authorization_servers": [url]});
    json_of(StatusCode::OK, world.metadata.as_ref().unwrap_or(&said))
}

async fn metadata(State(world): Shared) -> Response {
    let world = world.lock().unwrap();
    let url = &world.url;
    let mut said = json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "registration_endpoint": format!("{url}/register"),
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": ["desk:read", "desk:write", "offline_access"],
    });
    for (name, value) in world.more.as_object().into_iter().flatten() {
        said[name] = value.clone();
    }
    json_of(StatusCode::OK, &said)
}

async fn register(body: String) -> Response {
    let mut client: Value = serde_json::from_str(&body).unwrap();
    client["client_id"] = json!("registered");
    json_of(StatusCode::CREATED, &client)
}

async fn authorize(State(world): Shared, RawQuery(query): RawQuery) -> Response {
    let asked = form(&query.unwrap());
    assert_eq!((&*asked["code_challenge_method"], &*asked["response_type"]), ("S256", "code"));
    let mut world = world.lock().unwrap();
    assert_eq!(asked["resource"], format!("{}/mcp", world.url));
    let code = format!("code-{}", world.codes.len());
    let mut scopes = scopes(asked.get("scope"));
    if world.narrow {
        scopes.remove("desk:write");
    }
    let granted = (asked["code_challenge"].clone(), scopes);
    world.codes.insert(code.clone(), granted);
    let mut back = Url::parse(&asked["redirect_uri"]).unwrap();
    back.query_pairs_mut().append_pair("code", &code).append_pair("state", &asked["state"]);
    (StatusCode::FOUND, [(header::LOCATION, back.to_string())]).into_response()
}

async fn token(State(world): Shared, headers: HeaderMap, body: String) -> Response {
    let asked = asked(&headers, &body);
    let hold = {
        let mut world = world.lock().unwrap();
        world.asked.push(asked.clone());
        world.hold.clone().filter(|_| asked["grant_type"] == "refresh_token")
    };
    if let Some(hold) = hold {
        hold.acquire().await.unwrap().forget();
    }
    let mut world = world.lock().unwrap();
    assert_eq!(asked["resource"], format!("{}/mcp", world.url), "RFC 8707");
    let refused = |error: &str| {
        let said = json!({"error": error, "error_description": format!("{body} is no good")});
        json_of(StatusCode::BAD_REQUEST, &said)
    };
    let said = match asked["grant_type"].as_str() {
        "client_credentials" => {
            let known = asked.get("client_secret").is_some_and(|secret| secret == SECRET)
                || asked.contains_key("basic");
            if !known {
                return refused("invalid_client");
            }
            world.tokens(scopes(asked.get("scope")), false)
        }
        "urn:ietf:params:oauth:grant-type:jwt-bearer" => {
            let signed = asked.contains_key("client_assertion");
            assert!(asked.contains_key("basic") != signed, "one is enough");
            if !world.introductions.contains(&asked["assertion"]) {
                return refused("invalid_grant");
            }
            world.tokens(scopes(asked.get("scope")), false)
        }
        "authorization_code" => {
            let (challenge, granted) = world.codes.remove(&asked["code"]).unwrap();
            assert_eq!(base64(Digest::of(&asked["code_verifier"]).as_bytes()), challenge, "PKCE");
            world.tokens(granted, true)
        }
        _ => match world.refresh.remove(&asked["refresh_token"]) {
            Some(granted) => world.tokens(granted, true),
            None => return refused("invalid_grant"),
        },
    };
    json_of(StatusCode::OK, &said)
}

/// Knows one identity, and introduces it to its own authorization server.
async fn identity(State(world): Shared, headers: HeaderMap, body: String) -> Response {
    let asked = asked(&headers, &body);
    let mut world = world.lock().unwrap();
    world.asked.push(asked.clone());
    if asked["subject_token"] != IDENTITY {
        let said =
            json!({"error": "invalid_grant", "error_description": format!("{body} is over")});
        return json_of(StatusCode::BAD_REQUEST, &said);
    }
    let introduction = format!("canary-introduction-{}", world.introductions.len());
    world.introductions.push(introduction.clone());
    let said = json!({
        "access_token": introduction,
        "issued_token_type": format!("urn:ietf:params:oauth:token-type:{}", world.introduced_as),
        "token_type": "N_A",
    });
    json_of(StatusCode::OK, &said)
}

/// As URLs have it.
fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

async fn mcp(State(world): Shared, headers: HeaderMap, body: String) -> Response {
    let asked: Value = serde_json::from_str(&body).unwrap();
    let mut world = world.lock().unwrap();
    if let Some(place) = &world.redirect {
        return (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, place.clone())])
            .into_response();
    }
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let sent = sent.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default().to_owned();
    let (method, name) = (asked["method"].clone(), asked["params"]["name"].clone());
    let method = method.as_str().unwrap_or_default();
    world.calls.push(format!("{method} {sent}"));
    let challenge = |status: StatusCode, more: &str| {
        let place = format!("{}/.well-known/oauth-protected-resource/mcp", world.url);
        // A server that repeats what it was sent.
        let said = format!("Bearer resource_metadata=\"{place}\", {more}, sent=\"{sent}\"");
        let said = HeaderValue::from_str(&said).unwrap();
        (status, [(header::WWW_AUTHENTICATE, said)], sent.clone()).into_response()
    };
    let Some(granted) = world.access.get(&sent) else {
        return challenge(StatusCode::UNAUTHORIZED, "scope=\"desk:read\"");
    };
    if name == "write" && !granted.contains("desk:write") {
        let more = "error=\"insufficient_scope\", scope=\"desk:write\"";
        return challenge(StatusCode::FORBIDDEN, more);
    }
    let result = match method {
        "initialize" => json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "desk", "version": "1"},
        }),
        "tools/list" => json!({"tools": TOOLS.map(tool)}),
        "tools/call" => {
            match name.as_str() {
                Some("revoke") => world.access.clear(),
                Some("forget") => {
                    world.access.clear();
                    world.refresh.clear();
                }
                _ => {}
            }
            json!({"content": [{"type": "text", "text": format!("you sent {sent}")}]})
        }
        _ => return StatusCode::ACCEPTED.into_response(),
    };
    let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": result});
    json_of(StatusCode::OK, &answer)
}

fn tool(name: &str) -> Value {
    json!({
        "name": name,
        "description": name,
        "inputSchema": {"type": "object"},
        "annotations": {"readOnlyHint": name == "echo", "idempotentHint": true},
    })
}
