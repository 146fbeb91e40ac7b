//! The few requests of a login that are not `rmcp`'s, under the same rules.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use tenure_sdk::Failure;

use super::discovery::{is_here, wrong};
use crate::tools::http_request::deepest;

/// How long an authorization server may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of an answer: metadata and tokens are small.
const ANSWER: usize = 1 << 20;

/// A client for `url`, which the MCP server `server` has named. It goes to no address that `server`
/// has no business with, and follows no redirect.
pub(super) async fn client(server: &Url, url: &Url, private: bool) -> Result<Client, Failure> {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(443);
    let found = tokio::net::lookup_host((host.trim_matches(['[', ']']), port)).await;
    let found = found.map_err(|error| unreachable(url, &error.to_string()))?;
    let allowed: Vec<SocketAddr> =
        found.filter(|address| is_allowed(address.ip(), server, private)).collect();
    if allowed.is_empty() {
        let hint = "if it is right, start the worker with `--mcp-auth-private`";
        return Err(wrong(format!("its login leads to `{host}`, a private address; {hint}")));
    }
    // Pinned: what was looked up is what is asked.
    let client = Client::builder().timeout(TIMEOUT).redirect(Policy::none());
    let client = client.resolve_to_addrs(host, &allowed).build();
    client.map_err(|error| unreachable(url, &deepest(&error)))
}

/// Whether a server may send the worker there: the rule of `rmcp` for all other requests.
fn is_allowed(address: IpAddr, server: &Url, private: bool) -> bool {
    let own = server.host_str().and_then(|host| host.trim_matches(['[', ']']).parse().ok());
    match Class::of(address) {
        Class::Public => true,
        Class::Local => is_here(server),
        Class::Private => private || own.is_some_and(|own| Class::of(own) == Class::Private),
        Class::Reserved => false,
    }
}

#[derive(PartialEq)]
enum Class {
    Public,
    Local,
    Private,
    /// Such as the address where clouds tell machines their secrets.
    Reserved,
}

impl Class {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            address if address.is_loopback() => Self::Local,
            IpAddr::V4(v4) if v4.is_private() || matches!(v4.octets(), [100, 64..=127, ..]) => {
                Self::Private
            }
            IpAddr::V6(v6) if v6.is_unique_local() => Self::Private,
            IpAddr::V4(v4) if v4.is_link_local() || v4.is_broadcast() => Self::Reserved,
            IpAddr::V6(v6) if v6.is_unicast_link_local() => Self::Reserved,
            address if address.is_unspecified() || address.is_multicast() => Self::Reserved,
            _ => Self::Public,
        }
    }
}

/// The body of an answer.
pub(super) async fn body(mut response: Response) -> Result<Vec<u8>, Failure> {
    let url = response.url().clone();
    let mut body = Vec::new();
    while let Some(chunk) =
        response.chunk().await.map_err(|error| unreachable(&url, &deepest(&error)))?
    {
        if body.len() + chunk.len() > ANSWER {
            return Err(wrong(format!("`{url}` answers with more than {ANSWER} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

pub(super) fn unreachable(url: &Url, why: &str) -> Failure {
    let message = format!("`{url}` of its login cannot be reached: {why}");
    Failure::retryable("mcp_auth_unreachable", message)
}

/// [`unreachable`] of an error in the middle of a request.
pub(super) fn lost(url: &Url, error: &reqwest::Error) -> Failure {
    unreachable(url, &deepest(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_leads_to_no_address_that_it_could_not_have_itself() {
        let far = Url::parse("https://mcp.example.com/mcp").unwrap();
        let here = Url::parse("http://localhost:4000/mcp").unwrap();
        let near = Url::parse("https://10.0.0.8/mcp").unwrap();
        for (address, server, private, allowed) in [
            ("203.0.113.7", &far, false, true),
            ("127.0.0.1", &far, true, false),
            ("127.0.0.1", &here, false, true),
            ("::1", &far, true, false),
            ("10.0.0.9", &far, false, false),
            ("10.0.0.9", &far, true, true),
            ("10.0.0.9", &near, false, true),
            ("100.100.0.1", &far, false, false),
            ("fd00::9", &far, false, false),
            ("169.254.169.254", &far, true, false),
            ("::ffff:10.0.0.9", &far, false, false),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(is_allowed(address, server, private), allowed, "{address} {server}");
        }
    }
}
