//! Tokens for a person who has consented: the grant `authorization_code`.

use std::sync::Arc;

use oauth2::{RefreshToken, TokenResponse as _};
use rmcp::transport::auth::{
    AuthError, CredentialStore as _, InMemoryCredentialStore, OAuthClientConfig,
    WWWAuthenticateParams,
};
use tenure_sdk::Failure;
use tokio::sync::Mutex;

use super::discovery::{self, discover};
use super::store::{Consent, Credentials};
use super::{Server, scopes_of, union};
use crate::mcp::Reach;
use crate::secrets::ToolSecrets;

/// A person's right to call a server, as it is kept.
pub(in crate::mcp) struct Person {
    pub(super) server: Server,
    secrets: ToolSecrets,
    credentials: Option<Credentials>,
    private: bool,
    /// Held while the token is renewed: whoever comes meanwhile gets the same one.
    renewing: Mutex<()>,
}

impl Person {
    pub(super) fn new(server: Server, reach: &Reach) -> Self {
        Self {
            server,
            secrets: reach.secrets.clone(),
            credentials: reach.logins.credentials.clone(),
            private: reach.logins.private,
            renewing: Mutex::default(),
        }
    }

    /// The token that is kept, renewed if its time is over. A server need not want one.
    pub(super) async fn token(self: &Arc<Self>) -> Result<Option<String>, Failure> {
        match self.consent().await? {
            None => Ok(None),
            Some(consent) => match self.told(&consent, None) {
                Some(token) => Ok(Some(token)),
                None => self.renewed(None, None).await.map(Some),
            },
        }
    }

    /// A token other than `refused`.
    pub(super) async fn renewed(
        self: &Arc<Self>,
        refused: Option<&str>,
        challenge: Option<&str>,
    ) -> Result<String, Failure> {
        let (Some(credentials), Some(consent)) = (&self.credentials, self.consent().await?) else {
            let wanted = challenge.map(|challenge| self.wanted(challenge)).unwrap_or_default();
            return Err(self.missing("wants a person to log in", &wanted));
        };
        if let Some(token) = self.told(&consent, refused) {
            return Ok(token);
        }
        let (person, credentials) = (self.clone(), credentials.clone());
        let refused = refused.map(str::to_owned);
        // Whoever waits may be given up; what a refresh token was spent on is kept all the same.
        let renewing =
            tokio::spawn(async move { person.renew(&credentials, refused.as_deref()).await });
        renewing.await.unwrap_or_else(|_| Err(self.missing("cannot be logged in to", &[])))
    }

    /// The same by whoever comes first.
    async fn renew(
        &self,
        credentials: &Credentials,
        refused: Option<&str>,
    ) -> Result<String, Failure> {
        let _one = self.renewing.lock().await;
        let (tenant, address) = (&self.server.tenant, self.server.url.as_str());
        let _lock = credentials.lock(tenant, address).await?;
        // Somebody else may have been faster, in this process or in another one.
        let Some(consent) = self.consent().await? else {
            return Err(self.missing("wants a person to log in", &[]));
        };
        match self.told(&consent, refused) {
            Some(token) => Ok(token),
            None => self.refreshed(credentials, consent, refused).await,
        }
    }

    /// Nothing but another consent gives a token more scopes.
    pub(super) async fn widened(
        &self,
        sent: Option<&str>,
        scopes: &[String],
    ) -> Result<String, Failure> {
        let Some(consent) = self.consent().await? else {
            return Err(self.missing("wants a person to log in", scopes));
        };
        if let Some(token) = self.told(&consent, sent) {
            return Ok(token);
        }
        let granted = &consent.credentials.granted_scopes;
        let known = union(granted, &consent.asked);
        // Asking a person again for what was asked for already leads nowhere.
        if union(&known, scopes).len() == known.len() {
            return Err(self.server.denied("does not let this person do that"));
        }
        Err(self.missing("wants a person to consent to more", &union(granted, scopes)))
    }

    async fn consent(&self) -> Result<Option<Consent>, Failure> {
        match &self.credentials {
            None => Ok(None),
            Some(credentials) => {
                credentials.load(&self.server.tenant, self.server.url.as_str()).await
            }
        }
    }

    /// The token of a consent, if it is good and not the one that was refused.
    fn told(&self, consent: &Consent, refused: Option<&str>) -> Option<String> {
        let token = consent.token().filter(|token| Some(*token) != refused)?;
        self.secrets.learn(token);
        Some(token.to_owned())
    }

    async fn refreshed(
        &self,
        credentials: &Credentials,
        consent: Consent,
        refused: Option<&str>,
    ) -> Result<String, Failure> {
        self.learn(&consent);
        let renewed = match self.refresh(consent).await {
            Ok(consent) => consent,
            // Where files cannot be locked another worker may have used the refresh token before.
            Err(failure) => match self.consent().await?.filter(|now| now.token().is_some()) {
                Some(now) => return self.told(&now, refused).ok_or(failure),
                None => return Err(failure),
            },
        };
        self.learn(&renewed);
        credentials.save(&renewed).await?;
        let token = self.told(&renewed, refused);
        token.ok_or_else(|| self.missing("has given a token that is over already", &[]))
    }

    /// The consent with new tokens.
    async fn refresh(&self, consent: Consent) -> Result<Consent, Failure> {
        let failed = |failure| self.server.failed(failure);
        let found = discover(&self.server.url, None, self.private).await.map_err(failed)?;
        if found.metadata.issuer != consent.credentials.issuer {
            return Err(self.missing("has changed its authorization server", &[]));
        }
        let (mut manager, kept) = (found.manager, InMemoryCredentialStore::new());
        let client =
            OAuthClientConfig::new(&consent.credentials.client_id, self.server.url.as_str());
        let client = match &consent.client_secret {
            Some(secret) => client.with_client_secret(secret),
            None => client,
        };
        let error = |error: AuthError| match error {
            AuthError::AuthorizationRequired | AuthError::TokenRefreshRejected(_) => {
                self.missing("wants the person to log in again: the login is over", &[])
            }
            error => failed(discovery::failure(&error)),
        };
        kept.save(consent.credentials).await.map_err(error)?;
        manager.set_credential_store(kept.clone());
        manager.configure_client(client).map_err(error)?;
        manager.refresh_token().await.map_err(error)?;
        match kept.load().await.map_err(error)? {
            Some(credentials) => Ok(Consent { credentials, ..consent }),
            None => Err(self.missing("wants a person to log in", &[])),
        }
    }

    fn learn(&self, consent: &Consent) {
        let token = consent.credentials.token_response.as_ref();
        let refresh = token.and_then(|token| token.refresh_token());
        let tokens = token.map(|token| token.access_token().secret()).into_iter();
        for secret in tokens.chain(refresh.map(RefreshToken::secret)).chain(&consent.client_secret)
        {
            self.secrets.learn(secret);
        }
    }

    /// The scopes of the specification, or those that a challenge names.
    fn wanted(&self, challenge: &str) -> Vec<String> {
        if !self.server.auth.scopes.is_empty() {
            return self.server.auth.scopes.clone();
        }
        scopes_of(WWWAuthenticateParams::parse(challenge, &self.server.url).scope.as_deref())
    }

    /// What a person has to do.
    fn missing(&self, why: &str, scopes: &[String]) -> Failure {
        let Server { name, tenant, url, auth } = &self.server;
        let Some(credentials) = &self.credentials else {
            let message = format!(
                "MCP server `{name}` {why}, and this worker keeps no logins: start it with \
                 `--mcp-credentials DIR`"
            );
            return Failure::permanent("mcp_consent_missing", message);
        };
        let (folder, url) = (credentials.shown(), url.as_str());
        let mut command = format!(
            "tenure-worker --tenant {tenant} --mcp-credentials {} mcp-login {}",
            quoted(&folder),
            quoted(url)
        );
        let client = auth.client_id.iter().map(|id| ("--client-id", id));
        for (option, value) in client.chain(scopes.iter().map(|scope| ("--scope", scope))) {
            command = format!("{command} {option} {}", quoted(value));
        }
        Failure::permanent("mcp_consent_missing", format!("MCP server `{name}` {why}: `{command}`"))
    }
}

/// A word as a shell takes it: what a server says must not become a command of a person's shell.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/+@-".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_one_word_of_a_shell() {
        assert_eq!(quoted("mcp:read"), "mcp:read");
        assert_eq!(quoted("$(reboot)"), "'$(reboot)'");
        assert_eq!(quoted("a';b"), r"'a'\'';b'");
    }
}
