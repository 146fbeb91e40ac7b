//! One connection to a server.

use std::time::Duration;

use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CallToolResult, CancelledNotificationParam,
    ClientRequest, PaginatedRequestParams, ProgressToken, RequestId, RequestMetaObject,
    ServerResult,
};
use rmcp::service::{Peer, PeerRequestOptions, RoleClient, RunningService};
use rmcp::{ServiceError, ServiceExt};
use serde_json::Value;
use tenure_spec::McpTools;
use tokio::runtime::Handle;

use super::client::{Client, Listeners};
use super::process::{self, Program};
use super::translate::{self, Listed};
use super::trouble::Trouble;
use super::{Call, Reach, http};
use crate::tools::offer::{self, Offer};

/// How long a connection may take to open: a program may have to be fetched first.
pub(super) const CONNECT: Duration = Duration::from_secs(30);
/// Pages of a list of tools: a server that has ever more of them is asked no further.
const PAGES: usize = 1_000;
/// Tools of all pages, if the source names those that it needs.
const TOOLS: usize = 20_000;
/// The field of `_meta` with the key that is the same for each repetition of a call.
const IDEMPOTENCY_KEY: &str = "tenure/idempotency-key";

/// A connection that was opened.
pub(super) struct Connection {
    // First, so that the program's input ends before the program is waited for.
    service: RunningService<RoleClient, Client>,
    program: Option<Program>,
    listeners: Listeners,
}

impl Connection {
    /// Connects to the server, or starts it.
    pub(super) async fn open(
        tenant: &str,
        server: &McpTools,
        reach: &Reach,
        clients: &http::Clients,
    ) -> Result<Self, Trouble> {
        let listeners = Listeners::default();
        let client = Client {
            elicitation: server.elicitation,
            secrets: reach.secrets.clone(),
            listeners: listeners.clone(),
        };
        let (program, opening) = if let Some(url) = &server.url {
            let opening = match http::transport(url, tenant, server, reach, clients)? {
                http::Transport::Plain(transport) => {
                    tokio::time::timeout(CONNECT, client.serve(transport)).await
                }
                http::Transport::Authorized(transport) => {
                    tokio::time::timeout(CONNECT, client.serve(transport)).await
                }
            };
            (None, opening)
        } else {
            let (program, pipes) = process::start(server, reach)?;
            (Some(program), tokio::time::timeout(CONNECT, client.serve(pipes)).await)
        };
        let opened = match opening {
            Ok(opened) => opened.map_err(|error| Trouble::opening(&error)),
            Err(_) => Err(Trouble::Unreachable(format!("it does not answer within {CONNECT:?}"))),
        };
        match opened {
            Ok(service) => Ok(Self { service, program, listeners }),
            Err(trouble) => Err(explained(program.as_ref(), trouble).await),
        }
    }

    /// Whether the server has gone.
    pub(super) fn is_closed(&self) -> bool {
        self.service.is_closed() || self.service.peer().is_transport_closed()
    }

    /// The tools of the server, those that the source names.
    pub(super) async fn list(&self, server: &McpTools) -> Result<Offer<Listed>, Trouble> {
        let timeout = server.timeout.0;
        let most = if server.tools.is_some() { TOOLS } else { offer::TOOLS };
        let pages = tokio::time::timeout(timeout, self.pages(most));
        let tools = pages.await.unwrap_or(Err(Trouble::Silent(timeout)));
        match tools {
            Ok(tools) => translate::listed(tools, server),
            Err(trouble) => Err(self.explained(trouble).await),
        }
    }

    async fn pages(&self, most: usize) -> Result<Vec<rmcp::model::Tool>, Trouble> {
        let (mut tools, mut cursor) = (Vec::new(), None);
        for _ in 0..PAGES {
            let params = PaginatedRequestParams::default().with_cursor(cursor);
            let page = self.service.peer().list_tools(Some(params)).await;
            let page = page.map_err(Trouble::asking)?;
            tools.extend(page.tools);
            cursor = page.next_cursor;
            if cursor.is_none() || tools.len() > most {
                break;
            }
        }
        if cursor.is_some() || tools.len() > most {
            let message = format!("lists more tools than the {most} allowed");
            return Err(Trouble::TooMany(message));
        }
        Ok(tools)
    }

    /// Calls a tool.
    pub(super) async fn call(&self, server: &McpTools, call: &Call<'_>) -> Result<Value, Trouble> {
        match self.request(server, call).await {
            Ok(result) => translate::result(result),
            Err(error) => Err(self.explained(Trouble::asking(error)).await),
        }
    }

    async fn request(
        &self,
        server: &McpTools,
        call: &Call<'_>,
    ) -> Result<CallToolResult, ServiceError> {
        let mut meta = RequestMetaObject::new();
        meta.0.0.insert(IDEMPOTENCY_KEY.into(), call.idempotency_key.into());
        let options = PeerRequestOptions::with_timeout(server.timeout.0)
            .reset_timeout_on_progress()
            .with_max_total_timeout(server.max_timeout.0)
            .with_meta(meta);
        let params = CallToolRequestParams::new(call.tool.to_owned());
        let params = params.with_arguments(call.arguments.clone());
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
        let peer = self.service.peer();
        let sent = peer.send_request_with_option(request, options).await?;
        self.listeners.add(sent.progress_token.clone(), call.publisher.clone());
        let mut waiting = Waiting {
            peer: peer.clone(),
            request: Some(sent.id.clone()),
            token: sent.progress_token.clone(),
            listeners: self.listeners.clone(),
        };
        let answer = sent.await_response().await;
        // Answered, or cancelled because it took too long.
        waiting.request = None;
        match answer? {
            ServerResult::CallToolResult(result) => Ok(result),
            _ => Err(ServiceError::UnexpectedResponse),
        }
    }

    async fn explained(&self, trouble: Trouble) -> Trouble {
        explained(self.program.as_ref(), trouble).await
    }
}

/// What went wrong, with what a program says of it.
async fn explained(program: Option<&Program>, trouble: Trouble) -> Trouble {
    match (program, trouble) {
        (Some(program), Trouble::Died(why)) => Trouble::Died(program.explain(why).await),
        (Some(program), Trouble::Unreachable(why)) => {
            Trouble::Unreachable(program.explain(why).await)
        }
        (_, trouble) => trouble,
    }
}

/// Somebody waits for a request. It is cancelled at the server when nobody does any more.
struct Waiting {
    peer: Peer<RoleClient>,
    request: Option<RequestId>,
    token: ProgressToken,
    listeners: Listeners,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.listeners.remove(&self.token);
        let (Some(request), Ok(runtime)) = (self.request.take(), Handle::try_current()) else {
            return;
        };
        let peer = self.peer.clone();
        runtime.spawn(async move {
            let reason = Some("nobody waits for it any more".to_owned());
            // If the server has gone there is nothing to cancel.
            let _ =
                peer.notify_cancelled(CancelledNotificationParam::new(Some(request), reason)).await;
        });
    }
}
