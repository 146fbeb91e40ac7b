//! MCP: the servers that a worker is connected to, whoever uses them.
//!
//! A server has one connection for each tenant and configuration, shared by runs. It is opened when
//! it is first needed, and again after it has died. `process` and `http` reach servers, `connection`
//! speaks with one, `auth` logs in, `translate` makes our words of what it says, `trouble` says what went wrong and
//! whether anything may have happened. Nothing here knows runs or models.

mod auth;
mod client;
mod connection;
mod http;
mod process;
mod translate;
mod trouble;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde_json::{Map, Value};
use tenure_sdk::{Failure, Publisher};
use tenure_spec::{Effect, McpTools};

use crate::secrets::ToolSecrets;
use crate::tools::command::Variables;
use crate::tools::offer::Offer;

pub use auth::{Credentials, Login, Logins};
use connection::Connection;
pub(crate) use http::header;
pub use translate::Listed;
use trouble::Trouble;

/// Servers that a worker is connected to at a time. A worker that serves more wants company.
const SERVERS: usize = 100;

/// What servers are reached with.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// What `env://NAME` stands for.
    pub secrets: ToolSecrets,
    /// The programs that may be started, by the name or path that a specification gives.
    pub programs: Arc<[String]>,
    /// Variables that each program is given.
    pub variables: Variables,
    /// The folder that programs are started in.
    pub folder: PathBuf,
    /// How servers are logged in to.
    pub logins: Logins,
}

/// The servers that a worker is connected to.
pub struct Servers {
    reach: Reach,
    clients: http::Clients,
    slots: Mutex<HashMap<Key, Arc<Slot>>>,
}

/// A call of a tool.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The tool's name at the server.
    pub tool: &'a str,
    /// An object that satisfies the tool's schema.
    pub arguments: &'a Map<String, Value>,
    /// The same for each repetition of this call; sent as `_meta["tenure/idempotency-key"]`.
    pub idempotency_key: &'a str,
    /// What it does to the world.
    pub effect: Effect,
    /// Who is told of its progress.
    pub publisher: &'a Publisher,
}

/// Whose server, and which: the tenant and the server's place as JSON, secrets by their names.
type Key = (String, String);

/// The place of one connection, whether open or not.
struct Slot {
    open: tokio::sync::Mutex<Option<Arc<Connection>>>,
    used: Mutex<Instant>,
}

/// A connection, and whether it was opened for whoever asked.
struct Opened {
    connection: Arc<Connection>,
    fresh: bool,
}

impl Servers {
    /// No connection yet. A rustls crypto provider must be installed.
    pub fn new(reach: Reach) -> Result<Self, reqwest::Error> {
        Ok(Self { reach, clients: http::Clients::new()?, slots: Mutex::default() })
    }

    /// The tools of a server, those that `server.tools` names.
    pub async fn list(&self, tenant: &str, server: &McpTools) -> Result<Offer<Listed>, Failure> {
        let listed = self.list_at(tenant, server).await;
        // Listing changes nothing.
        listed.map_err(|trouble| self.failure(trouble, server, Effect::Read))
    }

    /// Calls a tool; the result is for a model. Dropped in the middle, the call is cancelled at the
    /// server. With the effect `once`, a call that may have happened without telling its result fails
    /// with the sdk's code `in_doubt`.
    pub async fn call(
        &self,
        tenant: &str,
        server: &McpTools,
        call: Call<'_>,
    ) -> Result<Value, Failure> {
        let called = self.call_at(tenant, server, call).await;
        called
            .map(|value| translate::bounded(self.reach.secrets.clean(value)))
            .map_err(|trouble| self.failure(trouble, server, call.effect))
    }

    async fn list_at(&self, tenant: &str, server: &McpTools) -> Result<Offer<Listed>, Trouble> {
        let slot = self.slot(tenant, server)?;
        let opened = self.connection(&slot, tenant, server).await?;
        let done = opened.connection.list(server).await;
        match self.again(&slot, &opened, tenant, server, done.as_ref().err()).await? {
            Some(connection) => connection.list(server).await,
            None => done,
        }
    }

    async fn call_at(
        &self,
        tenant: &str,
        server: &McpTools,
        call: Call<'_>,
    ) -> Result<Value, Trouble> {
        let slot = self.slot(tenant, server)?;
        let opened = self.connection(&slot, tenant, server).await?;
        let done = opened.connection.call(server, &call).await;
        match self.again(&slot, &opened, tenant, server, done.as_ref().err()).await? {
            Some(connection) => connection.call(server, &call).await,
            None => done,
        }
    }

    /// After trouble: a connection of no more use is forgotten. If it was an old one, and nothing was
    /// done with it, there is another one to try.
    async fn again(
        &self,
        slot: &Slot,
        opened: &Opened,
        tenant: &str,
        server: &McpTools,
        trouble: Option<&Trouble>,
    ) -> Result<Option<Arc<Connection>>, Trouble> {
        let Some(trouble) = trouble.filter(|trouble| trouble.is_lost()) else { return Ok(None) };
        slot.forget(&opened.connection).await;
        if opened.fresh || !matches!(trouble, Trouble::Unreachable(_)) {
            return Ok(None);
        }
        self.connection(slot, tenant, server).await.map(|opened| Some(opened.connection))
    }

    async fn connection(
        &self,
        slot: &Slot,
        tenant: &str,
        server: &McpTools,
    ) -> Result<Opened, Trouble> {
        // Held while it opens: whoever comes meanwhile gets the same one.
        let mut open = slot.open.lock().await;
        if let Some(connection) = open.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(Opened { connection: connection.clone(), fresh: false });
        }
        // Boxed: it is large, and seldom needed.
        let opening = Box::pin(Connection::open(tenant, server, &self.reach, &self.clients));
        let connection = opening.await?;
        let connection = Arc::new(connection);
        *open = Some(connection.clone());
        Ok(Opened { connection, fresh: true })
    }

    fn slot(&self, tenant: &str, server: &McpTools) -> Result<Arc<Slot>, Trouble> {
        let key = (tenant.to_owned(), place(server));
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if !slots.contains_key(&key) {
            make_room(&mut slots)?;
        }
        let slot = slots.entry(key).or_insert_with(|| Arc::new(Slot::new())).clone();
        *slot.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        Ok(slot)
    }

    fn failure(&self, trouble: Trouble, server: &McpTools, effect: Effect) -> Failure {
        self.reach.secrets.clean_failure(trouble.failure(&server.name, effect))
    }
}

impl Slot {
    fn new() -> Self {
        Self { open: tokio::sync::Mutex::default(), used: Mutex::new(Instant::now()) }
    }

    /// Empties the slot, unless somebody has opened another connection meanwhile.
    async fn forget(&self, connection: &Arc<Connection>) {
        let mut open = self.open.lock().await;
        if open.as_ref().is_some_and(|other| Arc::ptr_eq(other, connection)) {
            *open = None;
        }
    }
}

/// Closes the connection that was not used for the longest time, if there are too many.
fn make_room(slots: &mut HashMap<Key, Arc<Slot>>) -> Result<(), Trouble> {
    if slots.len() < SERVERS {
        return Ok(());
    }
    let used = |slot: &Arc<Slot>| *slot.used.lock().unwrap_or_else(PoisonError::into_inner);
    let idle = slots.iter().filter(|(_, slot)| Arc::strong_count(slot) == 1);
    let Some(oldest) = idle.min_by_key(|(_, slot)| used(slot)).map(|(key, _)| key.clone()) else {
        let message = format!("the worker uses {SERVERS} MCP servers already; try again later");
        return Err(Trouble::Unreachable(message));
    };
    slots.remove(&oldest);
    Ok(())
}

/// What makes two configurations the same server.
fn place(server: &McpTools) -> String {
    let McpTools { url, headers, auth, command, args, env, elicitation, .. } = server;
    serde_json::json!([url, headers, auth, command, args, env, elicitation]).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key(number: usize) -> Key {
        ("default".into(), number.to_string())
    }

    fn full() -> HashMap<Key, Arc<Slot>> {
        let start = Instant::now();
        let slot = |number: usize| {
            let slot = Slot::new();
            let used = start + Duration::from_secs(u64::try_from(number % 50).unwrap());
            *slot.used.lock().unwrap() = used;
            (key(number), Arc::new(slot))
        };
        (1..=SERVERS).map(slot).collect()
    }

    #[test]
    fn the_connection_that_was_idle_longest_makes_room() {
        let mut slots = full();
        let busy = slots[&key(50)].clone();
        make_room(&mut slots).unwrap();
        assert!(!slots.contains_key(&key(100)) && slots.contains_key(&key(50)));
        assert_eq!(slots.len(), SERVERS - 1);
        drop(busy);

        let mut slots = full();
        let _busy: Vec<_> = slots.values().cloned().collect();
        assert!(make_room(&mut slots).is_err());
    }
}
