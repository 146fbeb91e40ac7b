//! Tokens without a person: the grant `client_credentials`, and `cross_app`.

use jiff::Timestamp;
use oauth2::TokenResponse;
use rmcp::transport::auth::{AuthError, ClientCredentialsConfig, OAuthTokenResponse};
use tenure_sdk::Failure;
use tenure_spec::Grant;
use tokio::sync::Mutex;

use super::assertion::{self, Signer};
use super::cross_app::Wish;
use super::discovery::{self, Found, discover};
use super::request::Request;
use super::{Server, is_fresh, union};
use crate::mcp::Reach;
use crate::secrets::ToolSecrets;

/// Scopes that a server may ask for in all.
const MAX_SCOPES: usize = 100;

/// The worker's right to call a server, with the token of the hour.
pub(in crate::mcp) struct Machine {
    pub(super) server: Server,
    secrets: ToolSecrets,
    private: bool,
    /// Held while a token is fetched: whoever comes meanwhile gets the same one.
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    token: Option<OAuthTokenResponse>,
    /// When it was received, in seconds.
    received: Option<i64>,
    /// What it was asked for.
    scopes: Vec<String>,
}

impl Held {
    fn secret(&self) -> Option<&str> {
        self.token.as_ref().map(|token| token.access_token().secret().as_str())
    }

    fn is_fresh(&self) -> bool {
        let lasts = self.token.as_ref().and_then(TokenResponse::expires_in);
        is_fresh(self.received, lasts.map(|time| time.as_secs()))
    }
}

impl Machine {
    pub(super) fn new(server: Server, reach: &Reach) -> Self {
        let (secrets, private) = (reach.secrets.clone(), reach.logins.private);
        Self { server, secrets, private, held: Mutex::default() }
    }

    pub(super) async fn token(&self) -> Option<String> {
        let held = self.held.lock().await;
        held.secret().filter(|_| held.is_fresh()).map(str::to_owned)
    }

    /// A token other than `refused`, with `more` scopes than before.
    pub(super) async fn renewed(
        &self,
        refused: Option<&str>,
        challenge: Option<&str>,
        more: &[String],
    ) -> Result<String, Failure> {
        let mut held = self.held.lock().await;
        let other = held.secret().filter(|secret| held.is_fresh() && Some(*secret) != refused);
        if let Some(secret) = other {
            return Ok(secret.to_owned());
        }
        let found = discover(&self.server.url, challenge, self.private).await;
        let found = found.map_err(|failure| self.failed(failure))?;
        let scopes = self.scopes(&found, &union(&held.scopes, more)).await;
        let token = self.exchange(found, &scopes).await.map_err(|failure| self.failed(failure))?;
        let secret = token.access_token().secret().clone();
        self.secrets.learn(&secret);
        *held = Held { token: Some(token), received: Some(Timestamp::now().as_second()), scopes };
        Ok(secret)
    }

    /// A token with more scopes, if the specification lets the server say which.
    pub(super) async fn widened(
        &self,
        sent: Option<&str>,
        scopes: &[String],
    ) -> Result<String, Failure> {
        let held = self.held.lock().await;
        let asked = union(&held.scopes, scopes);
        let same = held.secret() == sent && asked.len() == held.scopes.len();
        drop(held);
        if !self.server.auth.scopes.is_empty() {
            let message =
                format!("wants the scopes `{}`: add them to `auth.scopes`", scopes.join(" "));
            return Err(self.server.denied(&message));
        }
        if same || asked.len() > MAX_SCOPES {
            return Err(self.server.denied("wants scopes that its login does not give"));
        }
        self.renewed(sent, None, scopes).await
    }

    /// Those of the specification, or else those that the server asks for.
    async fn scopes(&self, found: &Found, asked: &[String]) -> Vec<String> {
        if !self.server.auth.scopes.is_empty() {
            return self.server.auth.scopes.clone();
        }
        let mut scopes = union(&found.manager.select_initial_scopes(&[]).await, asked);
        // It asks for a refresh token, which this grant never has.
        scopes.retain(|scope| scope != "offline_access");
        scopes
    }

    async fn exchange(
        &self,
        found: Found,
        scopes: &[String],
    ) -> Result<OAuthTokenResponse, Failure> {
        let endpoint = found.token_endpoint()?;
        let host = endpoint.host_str().unwrap_or_default();
        let (auth, server) = (&self.server.auth, &self.server.url);
        if auth.grant == Grant::CrossApp {
            let (secrets, private) = (&self.secrets, self.private);
            return Wish { server, auth, scopes, secrets, private }.exchange(&found).await;
        }
        let client_id = auth.client_id.clone().unwrap_or_default();
        if let Some(key) = &auth.private_key {
            let key = self.secrets.fill_for(key, host)?;
            let signer = Signer { client_id: &client_id, key: &key };
            let mut form =
                vec![("grant_type", "client_credentials".into()), ("resource", server.to_string())];
            form.extend(assertion::fields(&signer, found.issuer()?)?);
            let (of, namer) = ("its authorization server", server);
            let private = self.private;
            let request = Request { of, endpoint: &endpoint, namer, private, form, basic: None };
            return request.scopes(scopes).send().await;
        }
        let client_secret = auth.client_secret.as_deref().unwrap_or_default();
        let config = ClientCredentialsConfig::ClientSecret {
            client_id,
            client_secret: self.secrets.fill_for(client_secret, host)?,
            scopes: scopes.to_vec(),
            resource: Some(server.to_string()),
        };
        ask(found, &config).await.map_err(|error| failure(&error))
    }

    fn failed(&self, failure: Failure) -> Failure {
        self.server.failed(failure)
    }
}

async fn ask(
    found: Found,
    config: &ClientCredentialsConfig,
) -> Result<OAuthTokenResponse, AuthError> {
    let mut manager = found.manager;
    manager.validate_client_credentials_metadata(config)?;
    manager.configure_client_credentials(config)?;
    manager.exchange_client_credentials(config).await
}

/// Whether the authorization server has refused, which no repetition changes, or gave no answer.
fn failure(error: &AuthError) -> Failure {
    let failure = discovery::failure(error);
    let AuthError::ClientCredentialsError(said) = error else { return failure };
    if ["Server returned error response", "does not support"].iter().any(|no| said.contains(no)) {
        return Failure::permanent("mcp_denied", failure.message);
    }
    Failure::retryable("mcp_auth_unreachable", failure.message)
}
