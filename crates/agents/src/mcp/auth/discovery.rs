//! The authorization server of an MCP server, and whom it may be.

use std::net::IpAddr;

use reqwest::Url;
use rmcp::transport::auth::{AuthError, AuthorizationManager, AuthorizationMetadata};
use serde_json::Value;
use tenure_sdk::Failure;

use super::legacy;
use crate::tools::http_request::deepest;
use crate::tools::offer;

/// Characters of what an authorization server says that a message repeats.
const SAID: usize = 500;

/// An authorization server that was found.
pub(super) struct Found {
    /// Speaks with it.
    pub(super) manager: AuthorizationManager,
    /// What it says of itself.
    pub(super) metadata: AuthorizationMetadata,
}

/// Finds it: where the challenge says, where RFC 9728 has it, or as servers of 2025-03-26 have it.
/// What the server says must be about itself; every address is https, or this machine's own.
pub(super) async fn discover(
    server: &Url,
    challenge: Option<&str>,
    private: bool,
) -> Result<Found, Failure> {
    let manager = if private {
        AuthorizationManager::new_allowing_private_addresses(server.clone()).await
    } else {
        AuthorizationManager::new(server.clone()).await
    };
    let mut manager = manager.map_err(|error| failure(&error))?;
    let metadata = match manager.resolve_metadata_from_challenge(challenge).await {
        Ok(found) => Ok(found.metadata),
        Err(error) => legacy::metadata(server, error).await,
    };
    let metadata = metadata.map_err(|error| failure(&error))?;
    check(server, &metadata)?;
    manager.set_metadata(metadata.clone());
    Ok(Found { manager, metadata })
}

impl Found {
    /// The address of a token endpoint, which [`check`] has read before.
    pub(super) fn token_endpoint(&self) -> Result<Url, Failure> {
        parse(&self.metadata.token_endpoint)
    }

    /// Who the authorization server says it is.
    pub(super) fn issuer(&self) -> Result<&str, Failure> {
        let issuer = self.metadata.issuer.as_deref();
        issuer.ok_or_else(|| wrong("its authorization server does not say who it is"))
    }

    /// Whether it takes the secrets of clients in forms only. Without a word it takes them in a
    /// header (RFC 8414).
    pub(super) fn wants_post(&self) -> bool {
        let ways = self.metadata.additional_fields.get("token_endpoint_auth_methods_supported");
        let ways = ways.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        ways.iter().any(|way| way == "client_secret_post")
            && !ways.iter().any(|way| way == "client_secret_basic")
    }

    /// Whether the metadata's field has the value `true`.
    pub(super) fn supports(&self, field: &str) -> bool {
        self.metadata.additional_fields.get(field).is_some_and(|value| value == true)
    }
}

/// Every address that a secret, a code or a person is sent to.
fn check(server: &Url, metadata: &AuthorizationMetadata) -> Result<(), Failure> {
    let AuthorizationMetadata { issuer, registration_endpoint, .. } = metadata;
    let always = [&metadata.authorization_endpoint, &metadata.token_endpoint];
    for address in always.into_iter().chain(issuer).chain(registration_endpoint) {
        let url = parse(address)?;
        if url.scheme() != "https" && !(is_here(server) && is_here(&url)) {
            let shown = offer::clean(address);
            let message = format!("its login leads to `{shown}`, which is not https");
            return Err(wrong(message));
        }
    }
    Ok(())
}

fn parse(address: &str) -> Result<Url, Failure> {
    let shown = offer::clean(address);
    Url::parse(address)
        .map_err(|_| wrong(format!("its login leads to `{shown}`, which is no address")))
}

/// Whether an address is this machine's own.
pub(super) fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let local = host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    ["http", "https"].contains(&url.scheme()) && (local || host == "localhost")
}

/// The failure of a login that goes on only when somebody changes something.
pub(super) fn wrong(why: impl Into<String>) -> Failure {
    Failure::permanent("mcp_auth", why)
}

/// What a person is told of an error of the protocol.
pub(super) fn failure(error: &AuthError) -> Failure {
    let said = match error {
        AuthError::DiscoveryRequestFailed { source, .. } => {
            format!("{error}: {}", deepest(source.as_ref()))
        }
        AuthError::HttpError(cause) => deepest(cause),
        error => error.to_string(),
    };
    let said: String = offer::clean(&said).chars().take(SAID).collect();
    match error {
        AuthError::DiscoveryRequestFailed { .. }
        | AuthError::HttpError(_)
        | AuthError::TokenRefreshFailed(_) => {
            let hint = "check that the worker reaches its authorization server, and for one with a \
                        private address start it with `--mcp-auth-private`";
            Failure::retryable("mcp_auth_unreachable", format!("{said}; {hint}"))
        }
        _ => wrong(format!("{said}; ask the server's operator")),
    }
}
