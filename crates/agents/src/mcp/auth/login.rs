//! How a person consents: a link to open, and an address of this machine that the answer comes to.

use std::net::Ipv4Addr;
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::routing::get;
use reqwest::Url;
use reqwest::header::{ACCEPT, WWW_AUTHENTICATE};
use reqwest::redirect::Policy;
use rmcp::transport::auth::{
    AuthError, AuthorizationCallback, AuthorizationManager, CredentialStore as _,
    InMemoryCredentialStore, OAuthClientConfig, StoredCredentials,
};
use serde_json::json;
use tenure_sdk::Failure;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::discovery::{self, Found, discover, is_here, wrong};
use super::store::{Consent, Credentials};
use super::union;
use crate::mcp::connection::CONNECT;
use crate::tools::http_request::deepest;
use crate::tools::offer;

/// How long a person may take.
const PATIENCE: Duration = Duration::from_mins(10);
/// Where the answer comes to.
const CALLBACK: &str = "/callback";
/// Who we are where clients register themselves.
const CLIENT: &str = "Tenure";
/// The scope that brings a token to renew others with.
const OFFLINE: &str = "offline_access";

/// A login to come.
#[derive(Clone, Debug)]
pub struct Login {
    /// The server's address, as specifications have it.
    pub url: String,
    /// The tenant whose agents may then act for the person.
    pub tenant: String,
    /// What to ask for; without any what the server says it needs.
    pub scopes: Vec<String>,
    /// What the authorization server knows us by, if it does: an id that it has given out, or the
    /// https address of a client's metadata document, for servers that read those. Without it the
    /// client registers itself.
    pub client_id: Option<String>,
    /// The client's secret, if it has one.
    pub client_secret: Option<String>,
    /// The port that the answer comes to, on this machine; any, as 0.
    pub port: u16,
    /// As in [`Logins`](super::Logins).
    pub private: bool,
}

impl Login {
    /// Tells `show` the link that a person has to open, waits for the answer, at most 10 minutes, and
    /// keeps the tokens. Answers the scopes that were granted. A rustls crypto provider must be
    /// installed.
    pub async fn run(
        &self,
        credentials: &Credentials,
        show: impl FnOnce(&str),
    ) -> Result<Vec<String>, Failure> {
        let url = Url::parse(&self.url).map_err(|_| wrong("the address is none"))?;
        if url.scheme() != "https" && !is_here(&url) {
            return Err(wrong("the address must begin with `https://`"));
        }
        let (listener, redirect) = listen(self.port).await?;
        let challenge = challenge(&url).await?;
        let mut found = discover(&url, challenge.as_deref(), self.private).await?;
        let asked = self.scopes(&found).await;
        let client = self.client(&mut found, &redirect, &asked).await?;
        let (tenant, server) = (self.tenant.clone(), url.to_string());
        let client_secret = client.client_secret.clone();
        let manager = &mut found.manager;
        manager.configure_client(client).map_err(|error| discovery::failure(&error))?;
        let scopes: Vec<&str> = asked.iter().map(String::as_str).collect();
        let link = manager.get_authorization_url(&scopes).await;
        let link = link.map_err(|error| discovery::failure(&error))?;
        show(&link);
        let answer = answer(listener, &redirect, &link).await?;
        let kept = exchange(manager, answer).await.map_err(|error| discovery::failure(&error))?;
        let granted = kept.granted_scopes.clone();
        credentials
            .save(&Consent { tenant, server, client_secret, asked, credentials: kept })
            .await?;
        Ok(granted)
    }

    /// What to ask for; with a refresh token wherever there are any.
    async fn scopes(&self, found: &Found) -> Vec<String> {
        if self.scopes.is_empty() {
            return found.manager.select_initial_scopes(&[]).await;
        }
        let supported = found.metadata.scopes_supported.as_deref().unwrap_or_default();
        let offline: Vec<_> = supported.iter().filter(|scope| *scope == OFFLINE).cloned().collect();
        union(&self.scopes, &offline)
    }

    /// Who we are there: whom they know, or what our document says, or whom we register.
    async fn client(
        &self,
        found: &mut Found,
        redirect: &str,
        scopes: &[String],
    ) -> Result<OAuthClientConfig, Failure> {
        let documents = found.supports("client_id_metadata_document_supported");
        let is_document = |id: &&String| id.starts_with("https://");
        if let Some(id) = self.client_id.as_ref().filter(|id| !is_document(id) || documents) {
            let client = OAuthClientConfig::new(id, redirect);
            return Ok(match &self.client_secret {
                Some(secret) => client.with_client_secret(secret),
                None => client,
            });
        }
        if found.metadata.registration_endpoint.is_none() {
            let hint = "register one there, and give its id: `--client-id`, `--client-secret-env`";
            return Err(wrong(format!("its authorization server registers no clients; {hint}")));
        }
        let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
        let client = found.manager.register_client(CLIENT, redirect, &scopes).await;
        client.map_err(|error| discovery::failure(&error))
    }
}

/// The tokens that the answer is good for.
async fn exchange(
    manager: &mut AuthorizationManager,
    answer: AuthorizationCallback,
) -> Result<StoredCredentials, AuthError> {
    let kept = InMemoryCredentialStore::new();
    manager.set_credential_store(kept.clone());
    let AuthorizationCallback { code, csrf_token, issuer, .. } = answer;
    manager.exchange_code_for_token_with_issuer(&code, &csrf_token, issuer.as_deref()).await?;
    kept.load().await?.ok_or(AuthError::AuthorizationRequired)
}

/// A listener of this machine alone, and its address.
async fn listen(port: u16) -> Result<(TcpListener, String), Failure> {
    let failed = |error| wrong(format!("port {port} cannot be listened on: {error}; try `--port`"));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, format!("http://{address}{CALLBACK}")))
}

/// What the server answers to somebody who is not logged in.
async fn challenge(url: &Url) -> Result<Option<String>, Failure> {
    let failed = |error: reqwest::Error| {
        let message = format!("`{url}` cannot be reached: {}", deepest(&error));
        Failure::retryable("mcp_unreachable", message)
    };
    let client = reqwest::Client::builder().timeout(CONNECT).redirect(Policy::none());
    let client = client.build().map_err(failed)?;
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "tenure", "version": env!("CARGO_PKG_VERSION")},
    }});
    let request = client.post(url.clone()).header(ACCEPT, "application/json, text/event-stream");
    let answer = request.json(&hello).send().await.map_err(failed)?;
    if answer.status() != reqwest::StatusCode::UNAUTHORIZED {
        return Ok(None);
    }
    let header = answer.headers().get(WWW_AUTHENTICATE);
    Ok(header.and_then(|header| header.to_str().ok()).map(str::to_owned))
}

/// What the browser of the person brings: the answer to this link, and to no other.
async fn answer(
    listener: TcpListener,
    redirect: &str,
    link: &str,
) -> Result<AuthorizationCallback, Failure> {
    let (answers, mut answered) = mpsc::channel(1);
    let state = Awaited { redirect: redirect.to_owned(), state: query(link, "state"), answers };
    let app = Router::new().route(CALLBACK, get(take)).with_state(state);
    let server = tokio::spawn(axum::serve(listener, app).into_future());
    let answer = tokio::time::timeout(PATIENCE, answered.recv()).await;
    // No new connection; the page that the browser is about to get still arrives.
    server.abort();
    match answer {
        Ok(Some(answer)) => answer,
        _ => Err(wrong(format!("nobody has logged in within {PATIENCE:?}"))),
    }
}

#[derive(Clone)]
struct Awaited {
    redirect: String,
    /// What the answer must repeat: anybody may send this machine's browsers here.
    state: Option<String>,
    answers: mpsc::Sender<Result<AuthorizationCallback, Failure>>,
}

async fn take(State(awaited): State<Awaited>, RawQuery(said): RawQuery) -> (StatusCode, String) {
    let url = format!("{}?{}", awaited.redirect, said.unwrap_or_default());
    if awaited.state.is_none() || query(&url, "state") != awaited.state {
        let text = "This is not the answer to the login that is waited for.";
        return (StatusCode::BAD_REQUEST, text.into());
    }
    let (answer, text) =
        match (AuthorizationCallback::from_redirect_url(&url), query(&url, "error")) {
            (Ok(answer), None) => (
                Ok(answer),
                "Thank you. Look into your terminal; you can close this window.".to_owned(),
            ),
            (_, error) => {
                let more = query(&url, "error_description").unwrap_or_default();
                let why = format!("{} {more}", error.unwrap_or_else(|| "no code".into()));
                let text = format!("the login was refused: {}", offer::clean(why.trim_end()));
                (Err(Failure::permanent("mcp_denied", &text)), text)
            }
        };
    // One answer is enough; a second one is nobody's.
    let _ = awaited.answers.try_send(answer);
    (StatusCode::OK, text)
}

fn query(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
