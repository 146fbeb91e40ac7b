//! Logging in to servers: OAuth 2.1 as MCP's authorization specification has it.
//!
//! A server that wants a login answers 401, and says where. `client` sends requests with a token and
//! hears such answers; `machine` gets tokens for the worker itself, or with `cross_app` for its
//! identity, `person` those that a person has consented to, with `login`; `discovery` finds the authorization server and says whom it may be.
//! The protocol itself is in `rmcp`; what that lacks is `assertion`, `request` and `legacy`.

mod assertion;
mod client;
mod cross_app;
mod discovery;
mod http;
mod legacy;
mod login;
mod machine;
mod person;
mod request;
mod store;

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use reqwest::Url;
use tenure_sdk::Failure;
use tenure_spec::{Grant, McpAuth, McpTools};

use super::Reach;
use machine::Machine;
use person::Person;

pub(super) use client::Authorized;
pub use login::Login;
pub use store::Credentials;

/// A token is not used in the last seconds of its life: it has to arrive, too.
const MARGIN: i64 = 30;

/// What logins need beside secrets.
#[derive(Clone, Debug, Default)]
pub struct Logins {
    /// What people have consented to. Without it the worker acts for itself only.
    pub credentials: Option<Credentials>,
    /// Whether authorization servers may have private addresses though the servers that name them
    /// have public ones, or names.
    pub private: bool,
}

/// The right to call one server.
pub(super) enum Right {
    /// As the worker.
    Machine(Box<Machine>),
    /// As a person.
    Person(Arc<Person>),
}

/// The server that a right is for.
#[derive(Clone)]
struct Server {
    name: String,
    tenant: String,
    url: Url,
    auth: McpAuth,
}

/// A failure on its way through the transport.
#[derive(Debug)]
pub(super) struct Refused(pub(super) Failure);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl Error for Refused {}

impl Right {
    /// The right that `auth` asks for, not used yet.
    pub(super) fn new(
        tenant: &str,
        server: &McpTools,
        auth: &McpAuth,
        url: Url,
        reach: &Reach,
    ) -> Arc<Self> {
        let server = Server {
            name: server.name.clone(),
            tenant: tenant.to_owned(),
            url,
            auth: auth.clone(),
        };
        Arc::new(match auth.grant {
            Grant::ClientCredentials | Grant::CrossApp => {
                Self::Machine(Box::new(Machine::new(server, reach)))
            }
            Grant::AuthorizationCode => Self::Person(Arc::new(Person::new(server, reach))),
        })
    }

    /// The token to send, if there is one already.
    async fn token(&self) -> Result<Option<String>, Failure> {
        match self {
            Self::Machine(machine) => Ok(machine.token().await),
            Self::Person(person) => person.token().await,
        }
    }

    /// Another token than the one that the server has refused, if any was sent.
    async fn renewed(
        &self,
        refused: Option<&str>,
        challenge: Option<&str>,
    ) -> Result<String, Failure> {
        match self {
            Self::Machine(machine) => machine.renewed(refused, challenge, &[]).await,
            Self::Person(person) => person.renewed(refused, challenge).await,
        }
    }

    /// A token for these scopes too, which the one sent lacks.
    async fn widened(&self, sent: Option<&str>, scopes: &[String]) -> Result<String, Failure> {
        match self {
            Self::Machine(machine) => machine.widened(sent, scopes).await,
            Self::Person(person) => person.widened(sent, scopes).await,
        }
    }

    /// The failure of a call whose token is fresh and refused all the same.
    fn refusal(&self) -> Failure {
        let server = match self {
            Self::Machine(machine) => &machine.server,
            Self::Person(person) => &person.server,
        };
        server.denied("refuses a fresh token; ask its operator what its login lacks")
    }
}

impl Server {
    fn denied(&self, why: &str) -> Failure {
        Failure::permanent("mcp_denied", format!("MCP server `{}` {why}", self.name))
    }

    /// A failure of the login, told of this server.
    fn failed(&self, failure: Failure) -> Failure {
        let message = format!("MCP server `{}`: {}", self.name, failure.message);
        Failure { message, ..failure }
    }
}

/// Whether a token received then, and good for so many seconds, may still be sent.
fn is_fresh(received: Option<i64>, seconds: Option<u64>) -> bool {
    let (Some(received), Some(seconds)) = (received, seconds) else { return true };
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    Timestamp::now().as_second() < received.saturating_add(seconds).saturating_sub(MARGIN)
}

/// The scopes of a list with spaces.
fn scopes_of(text: Option<&str>) -> Vec<String> {
    text.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

/// Both, each once, in this order.
fn union(some: &[String], more: &[String]) -> Vec<String> {
    let mut all = some.to_vec();
    for scope in more {
        if !all.contains(scope) {
            all.push(scope.clone());
        }
    }
    all
}
