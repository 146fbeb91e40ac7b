//! Requests for tokens that are not `rmcp`'s.

use reqwest::Url;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tenure_sdk::Failure;

use super::discovery::wrong;
use super::http;
use crate::tools::offer;

/// What a token endpoint is asked.
pub(super) struct Request<'a> {
    /// Whose endpoint it is, for people.
    pub(super) of: &'static str,
    pub(super) endpoint: &'a Url,
    /// Who has named it.
    pub(super) namer: &'a Url,
    /// As in [`Logins`](super::Logins).
    pub(super) private: bool,
    pub(super) form: Vec<(&'static str, String)>,
    /// A client and its secret, for an endpoint that wants them in a header.
    pub(super) basic: Option<(String, String)>,
}

impl Request<'_> {
    /// Adds the scopes, if there are any.
    pub(super) fn scopes(mut self, scopes: &[String]) -> Self {
        if !scopes.is_empty() {
            self.form.push(("scope", scopes.join(" ")));
        }
        self
    }

    /// What the endpoint gives. A refusal is `mcp_denied`, no answer `mcp_auth_unreachable`.
    pub(super) async fn send<T: DeserializeOwned>(self) -> Result<T, Failure> {
        let client = http::client(self.namer, self.endpoint, self.private).await?;
        let mut request = client.post(self.endpoint.clone()).form(&self.form);
        if let Some((id, secret)) = &self.basic {
            request = request.basic_auth(encoded(id), Some(encoded(secret)));
        }
        let sent = request.send().await;
        let answer = sent.map_err(|error| http::lost(self.endpoint, &error))?;
        let status = answer.status();
        let body = http::body(answer).await?;
        if status.is_success() {
            let token = serde_json::from_slice(&body);
            return token.map_err(|_| wrong(format!("{} answers with no token", self.of)));
        }
        if status.is_server_error() || status.as_u16() == 429 {
            return Err(http::unreachable(self.endpoint, &format!("it answers {status}")));
        }
        Err(self.refusal(&body))
    }

    /// What the endpoint has against the client, or against what it shows.
    fn refusal(&self, body: &[u8]) -> Failure {
        let said: Value = serde_json::from_slice(body).unwrap_or_default();
        let word = |name: &str| offer::clean(said[name].as_str().unwrap_or_default());
        let (error, more) = (word("error"), word("error_description"));
        let message = format!("{} refuses the client: {error} {more}", self.of);
        Failure::permanent("mcp_denied", message.trim_end().to_owned())
    }
}

/// As forms have it: RFC 6749, section 2.3.1, wants it before the header's own encoding.
fn encoded(text: &str) -> String {
    oauth2::url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
