//! Servers over streamable HTTP.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::common::client_side_sse::ExponentialBackoff;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use tenure_sdk::Failure;

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

/// The client that reaches all servers. A call may take as long as its source says, so there is no
/// time limit here. It keeps no cookies, and follows redirects as `http_request` does.
pub(super) fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .redirect(http_request::redirects())
        .user_agent(concat!("tenure/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// A transport to the server at `url`.
pub(super) fn transport(
    url: &str,
    headers: &BTreeMap<String, String>,
    secrets: &ToolSecrets,
    client: &reqwest::Client,
) -> Result<StreamableHttpClientTransport<reqwest::Client>, Trouble> {
    let wrong = |why: String| Trouble::Unreachable(format!("`{url}`: {why}"));
    let host = Url::parse(url).map_err(|error| wrong(error.to_string()))?;
    let receiver = Receiver::Host(host.host_str().unwrap_or_default());
    let mut config = StreamableHttpClientTransportConfig::with_uri(url.to_owned())
        .max_concurrent_requests(AT_A_TIME);
    config.custom_headers = filled(headers, secrets, receiver).map_err(Trouble::Forbidden)?;
    let mut pauses = ExponentialBackoff::default();
    pauses.max_times = Some(RECONNECTS);
    pauses.base_duration = FIRST_PAUSE;
    config.retry_config = Arc::new(pauses);
    Ok(StreamableHttpClientTransport::with_client(client.clone(), config))
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
