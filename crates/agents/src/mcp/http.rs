//! Servers over streamable HTTP.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::common::client_side_sse::ExponentialBackoff;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use tenure_sdk::Failure;
use tenure_spec::McpTools;

use super::Reach;
use super::auth::{Authorized, Right};
use super::connection::CONNECT;
use super::trouble::Trouble;
use crate::secrets::{Receiver, ToolSecrets};
use crate::tools::http_request;

/// How often a broken stream of events is opened again, and the pause before the first time, which
/// doubles. A server that is not back by then has died.
const RECONNECTS: usize = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Calls of one server that are sent at a time.
const AT_A_TIME: usize = 64;

/// What reaches all servers. A call may take as long as its source says, so there is no time limit
/// here. No cookies are kept.
pub(super) struct Clients {
    /// Follows redirects as `http_request` does.
    plain: reqwest::Client,
    /// For servers with a login: follows none, so that a token goes to nobody else.
    strict: reqwest::Client,
}

impl Clients {
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        let client = |redirects| {
            reqwest::Client::builder()
                .connect_timeout(CONNECT)
                .redirect(redirects)
                .user_agent(concat!("tenure/", env!("CARGO_PKG_VERSION")))
                .build()
        };
        Ok(Self { plain: client(http_request::redirects())?, strict: client(Policy::none())? })
    }
}

/// A way to a server.
pub(super) enum Transport {
    /// To one that wants no login, or is told all in headers.
    Plain(StreamableHttpClientTransport<reqwest::Client>),
    /// To one that wants a login.
    Authorized(StreamableHttpClientTransport<Authorized>),
}

/// A transport to the server at `url`.
pub(super) fn transport(
    url: &str,
    tenant: &str,
    server: &McpTools,
    reach: &Reach,
    clients: &Clients,
) -> Result<Transport, Trouble> {
    let wrong = |why: String| Trouble::Unreachable(format!("`{url}`: {why}"));
    let place = Url::parse(url).map_err(|error| wrong(error.to_string()))?;
    let receiver = Receiver::Host(place.host_str().unwrap_or_default());
    let mut config = StreamableHttpClientTransportConfig::with_uri(url.to_owned())
        .max_concurrent_requests(AT_A_TIME);
    let headers = filled(&server.headers, &reach.secrets, receiver);
    config.custom_headers = headers.map_err(Trouble::Forbidden)?;
    let mut pauses = ExponentialBackoff::default();
    pauses.max_times = Some(RECONNECTS);
    pauses.base_duration = FIRST_PAUSE;
    config.retry_config = Arc::new(pauses);
    let Some(auth) = &server.auth else {
        let client = clients.plain.clone();
        return Ok(Transport::Plain(StreamableHttpClientTransport::with_client(client, config)));
    };
    let right = Right::new(tenant, server, auth, place, reach);
    let client = Authorized { http: clients.strict.clone(), right };
    Ok(Transport::Authorized(StreamableHttpClientTransport::with_client(client, config)))
}

fn filled(
    headers: &BTreeMap<String, String>,
    secrets: &ToolSecrets,
    receiver: Receiver<'_>,
) -> Result<HashMap<HeaderName, HeaderValue>, Failure> {
    let filled = secrets.fill_all(headers, receiver)?;
    filled.into_iter().map(|(name, value)| header(&name, &value)).collect()
}

/// A header to send; its value is shown to nobody.
pub(crate) fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Failure> {
    let wrong = || Failure::permanent("header", format!("header `{name}` cannot be sent"));
    let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
    let mut value = HeaderValue::from_str(value).map_err(|_| wrong())?;
    value.set_sensitive(true);
    Ok((key, value))
}
