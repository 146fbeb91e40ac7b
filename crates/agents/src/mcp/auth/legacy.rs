//! Servers of the revision 2025-03-26 that are their own authorization servers.

use reqwest::Url;
use rmcp::transport::auth::{AuthError, AuthorizationMetadata};

use super::http;

/// Where such a server says what it is.
const PLACE: &str = "/.well-known/oauth-authorization-server";

/// What the server's own metadata says, though its issuer has another path than they have.
///
/// RFC 8414 wants the issuer's path in the metadata's address; servers of that revision have the
/// metadata at the root whatever the path. Nobody else is trusted by it: server, metadata and issuer
/// have one origin, and everything else fails as before.
pub(super) async fn metadata(
    server: &Url,
    error: AuthError,
) -> Result<AuthorizationMetadata, AuthError> {
    let AuthError::AuthorizationServerMismatch { expected_issuer, received_issuer } = &error else {
        return Err(error);
    };
    let own = |issuer: &str| Url::parse(issuer).is_ok_and(|url| url.origin() == server.origin());
    let at_root = Url::parse(expected_issuer).is_ok_and(|issuer| issuer.path() == "/");
    if !at_root || !own(expected_issuer) || !own(received_issuer) {
        return Err(error);
    }
    let found = fetch(server).await.filter(|found| found.issuer.as_ref() == Some(received_issuer));
    found.ok_or(error)
}

async fn fetch(server: &Url) -> Option<AuthorizationMetadata> {
    let mut place = server.clone();
    place.set_path(PLACE);
    // The server's own address, whatever it is: the specification has named it.
    let client = http::client(server, &place, true).await.ok()?;
    let answer =
        client.get(place).send().await.ok().filter(|answer| answer.status().is_success())?;
    serde_json::from_slice(&http::body(answer).await.ok()?).ok()
}
