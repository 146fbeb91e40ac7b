//! What can go wrong with a server, and whether a call may have happened all the same.

use std::error::Error;
use std::io;
use std::time::Duration;

use rmcp::ServiceError;
use rmcp::service::ClientInitializeError;
use rmcp::transport::streamable_http_client::{HttpStatusError, StreamableHttpError};
use tenure_sdk::{Failure, IN_DOUBT};
use tenure_spec::Effect;

use super::auth::Refused;
use crate::tools::http_request::deepest;

/// What went wrong.
#[derive(Debug)]
pub(super) enum Trouble {
    /// There is no server, so nothing was done.
    Unreachable(String),
    /// The server wants credentials that it was not given, so nothing was done.
    Denied,
    /// The connection ended in mid-call.
    Died(String),
    /// No answer and no sign of progress for this long.
    Silent(Duration),
    /// The server answered that it cannot.
    Refused(String),
    /// There are more tools, or larger ones, than a model can be offered.
    TooMany(String),
    /// The worker does not do this.
    Forbidden(Failure),
}

impl Trouble {
    /// Whether the connection is of no more use.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Denied | Self::Died(_))
    }

    /// The failure of a step, by what the call does to the world.
    pub(super) fn failure(self, server: &str, effect: Effect) -> Failure {
        let lost = |code: &str, message: String| match effect {
            Effect::Once => Failure::permanent(IN_DOUBT, message),
            Effect::Read | Effect::Idempotent => Failure::retryable(code, message),
        };
        match self {
            Self::Unreachable(why) => {
                let hint = "check that it runs, and its address or program";
                let message = format!("MCP server `{server}` cannot be reached: {why}; {hint}");
                Failure::retryable("mcp_unreachable", message)
            }
            Self::Denied => Failure::permanent(
                "mcp_denied",
                format!(
                    "MCP server `{server}` wants other credentials; check `headers` and the \
                     worker's `--tool-secret`, or let it log in with `auth`"
                ),
            ),
            Self::Died(why) => lost("mcp_died", format!("MCP server `{server}` died: {why}")),
            Self::Silent(time) => {
                let hint = "raise `timeout` if it needs longer";
                let message = format!("MCP server `{server}` was silent for {time:?}; {hint}");
                lost("mcp_timeout", message)
            }
            Self::Refused(message) => Failure::permanent("mcp_tool", message),
            Self::TooMany(what) => {
                let hint = "name those that the agent needs in `tools:`";
                let message = format!("MCP server `{server}` {what}; {hint}");
                Failure::permanent("mcp_too_many_tools", message)
            }
            Self::Forbidden(failure) => failure,
        }
    }

    /// Of a connection that was not opened.
    pub(super) fn opening(error: &ClientInitializeError) -> Self {
        match error {
            error if error.auth_challenge().is_some() => Self::Denied,
            ClientInitializeError::TransportError { error, .. } => {
                match Self::transport(error.error.as_ref()) {
                    // Nothing was asked for yet.
                    Self::Died(why) => Self::Unreachable(why),
                    other => other,
                }
            }
            error => Self::Unreachable(error.to_string()),
        }
    }

    /// Of a request.
    pub(super) fn asking(error: ServiceError) -> Self {
        match error {
            ServiceError::McpError(error) => Self::Refused(error.message.into_owned()),
            ServiceError::Timeout { timeout } => Self::Silent(timeout),
            ServiceError::TransportSend(error) => Self::transport(error.error.as_ref()),
            error => Self::Died(error.to_string()),
        }
    }

    fn transport(error: &(dyn Error + Send + Sync + 'static)) -> Self {
        type Http = StreamableHttpError<reqwest::Error>;
        let Some(error) = error.downcast_ref::<Http>() else {
            return Self::Died(error.to_string());
        };
        match error {
            Http::Io(error) if let Some(refused) = refused(error) => Self::Forbidden(refused),
            Http::AuthRequired(_) | Http::InsufficientScope(_) => Self::Denied,
            Http::UnexpectedServerResponse(text) if denied(text) => Self::Denied,
            Http::HttpStatus(HttpStatusError { status: 429, .. }) => {
                Self::Unreachable("it answered 429, too many requests".into())
            }
            // Whoever refuses the session has not done what was asked in it.
            Http::SessionExpired | Http::ReinitializationFailed(_) => {
                Self::Unreachable(error.to_string())
            }
            Http::Client(error) if error.is_connect() => Self::Unreachable(deepest(error)),
            Http::Client(error) => Self::Died(deepest(error)),
            error => Self::Died(error.to_string()),
        }
    }
}

/// What a login says, on its way through the transport.
fn refused(error: &io::Error) -> Option<Failure> {
    let refused = error.get_ref()?.downcast_ref::<Refused>();
    refused.map(|refused| refused.0.clone())
}

fn denied(text: &str) -> bool {
    ["HTTP 401", "HTTP 403"].iter().any(|status| text.starts_with(status))
}
