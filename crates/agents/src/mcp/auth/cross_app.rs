//! Tokens for whom an identity token names: the grant `cross_app` (enterprise-managed authorization).
//!
//! The identity provider exchanges the identity token for one that introduces its owner to the
//! server's authorization server (RFC 8693), which gives an access token for it (RFC 7523).

use reqwest::Url;
use rmcp::transport::auth::OAuthTokenResponse;
use serde::Deserialize;
use tenure_sdk::Failure;
use tenure_spec::{McpAuth, McpIdentity};

use super::assertion::{self, Signer};
use super::discovery::{Found, is_here, wrong};
use super::request::Request;
use crate::secrets::ToolSecrets;

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const IDENTITY: &str = "urn:ietf:params:oauth:token-type:id_token";
const INTRODUCTION: &str = "urn:ietf:params:oauth:token-type:id-jag";

/// Who wants a token, and what for.
pub(super) struct Wish<'a> {
    pub(super) server: &'a Url,
    pub(super) auth: &'a McpAuth,
    pub(super) scopes: &'a [String],
    pub(super) secrets: &'a ToolSecrets,
    /// As in [`Logins`](super::Logins).
    pub(super) private: bool,
}

/// What the identity provider gives.
#[derive(Deserialize)]
struct Introduction {
    access_token: String,
    issued_token_type: String,
}

impl Wish<'_> {
    /// A token for the server.
    pub(super) async fn exchange(&self, found: &Found) -> Result<OAuthTokenResponse, Failure> {
        let identity = self.auth.identity.as_ref();
        let identity = identity.ok_or_else(|| wrong("its `auth` has no `identity`"))?;
        let endpoint = found.token_endpoint()?;
        // First, as it needs nobody: a login that will fail here shows nobody the identity.
        let mut redeeming = self.redeeming(found, &endpoint)?;
        let introduction = self.introduction(identity, found.issuer()?).await?;
        redeeming.form.push(("assertion", introduction));
        redeeming.send().await
    }

    /// What introduces the identity to the authorization server `audience`.
    async fn introduction(
        &self,
        identity: &McpIdentity,
        audience: &str,
    ) -> Result<String, Failure> {
        let endpoint = endpoint(identity)?;
        let host = endpoint.host_str().unwrap_or_default();
        let mut form = vec![
            ("grant_type", EXCHANGE.into()),
            ("requested_token_type", INTRODUCTION.into()),
            ("subject_token_type", IDENTITY.into()),
            ("subject_token", self.secrets.fill_for(&identity.token, host)?),
            ("audience", audience.into()),
            ("resource", self.server.to_string()),
        ];
        let client_id = identity.client_id.clone().unwrap_or_default();
        let mut basic = None;
        if let Some(secret) = &identity.client_secret {
            basic = Some((client_id, self.secrets.fill_for(secret, host)?));
        } else if identity.client_id.is_some() {
            form.push(("client_id", client_id));
        }
        let of = "its identity provider";
        // The specification has named it, whatever address it has.
        let request =
            Request { of, endpoint: &endpoint, namer: &endpoint, private: true, form, basic };
        let given: Introduction = request.scopes(self.scopes).send().await?;
        self.secrets.learn(&given.access_token);
        if given.issued_token_type == INTRODUCTION {
            return Ok(given.access_token);
        }
        Err(wrong("its identity provider gives another token than one for an authorization server"))
    }

    /// The request that an introduction is still missing in.
    fn redeeming<'a>(&'a self, found: &Found, endpoint: &'a Url) -> Result<Request<'a>, Failure> {
        let host = endpoint.host_str().unwrap_or_default();
        let client_id = self.auth.client_id.clone().unwrap_or_default();
        let mut form = vec![("grant_type", BEARER.into()), ("resource", self.server.to_string())];
        let mut basic = None;
        if let Some(key) = &self.auth.private_key {
            let key = self.secrets.fill_for(key, host)?;
            let signer = Signer { client_id: &client_id, key: &key };
            form.extend(assertion::fields(&signer, found.issuer()?)?);
        } else {
            let secret = self.auth.client_secret.as_deref().unwrap_or_default();
            let secret = self.secrets.fill_for(secret, host)?;
            if found.wants_post() {
                form.extend([("client_id", client_id), ("client_secret", secret)]);
            } else {
                basic = Some((client_id, secret));
            }
        }
        let request = Request {
            of: "its authorization server",
            endpoint,
            namer: self.server,
            private: self.private,
            form,
            basic,
        };
        Ok(request.scopes(self.scopes))
    }
}

/// The address of the identity provider, which nobody listens on the way to.
fn endpoint(identity: &McpIdentity) -> Result<Url, Failure> {
    let url = Url::parse(&identity.token_endpoint).ok();
    let url = url.filter(|url| url.scheme() == "https" || is_here(url));
    url.ok_or_else(|| wrong("its `identity.token_endpoint` is no address that begins with https"))
}
