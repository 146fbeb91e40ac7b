//! Events of runs by Redis: a channel for each run that is followed, subscribed to while it is.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use prost::Message as _;
use redis::aio::MultiplexedConnection;
use redis::{Pipeline, RedisResult, Value};
use tenure_core::{RunId, StreamEvent, TenantId};
use tenure_proto::{convert, v1};
use uuid::Uuid;

use crate::carrier::{Place, StreamEar};

/// What of the connection is about events.
pub(super) struct Streams {
    /// Channels are `PREFIX:stream:TENANT:RUN`.
    prefix: String,
    ear: OnceLock<StreamEar>,
    /// What is followed, also while there is no connection.
    followed: Mutex<HashSet<Place>>,
}

impl Streams {
    pub(super) fn new(prefix: &str) -> Self {
        let prefix = format!("{prefix}:stream:");
        Self { prefix, ear: OnceLock::new(), followed: Mutex::default() }
    }

    pub(super) fn hear(&self, ear: StreamEar) {
        // It is told once; a second ear would be a mistake that costs nothing.
        let _ = self.ear.set(ear);
    }

    /// Notes what is followed, and says so to Redis.
    pub(super) async fn follow(
        &self,
        place: Place,
        followed: bool,
        connection: Option<MultiplexedConnection>,
    ) -> RedisResult<()> {
        if followed {
            self.lock().insert(place);
        } else {
            self.lock().remove(&place);
        }
        let Some(mut connection) = connection else { return Ok(()) };
        let channel = self.channel(place);
        if followed {
            connection.subscribe(channel).await
        } else {
            connection.unsubscribe(channel).await
        }
    }

    /// Subscribes a new connection to all that is followed.
    pub(super) async fn resume(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        let channels: Vec<_> = self.lock().iter().map(|place| self.channel(*place)).collect();
        if channels.is_empty() {
            return Ok(());
        }
        connection.subscribe(channels).await
    }

    pub(super) fn publish(&self, to: &mut Pipeline, place: Place, event: &StreamEvent) {
        let event = convert::stream_event(event.clone()).encode_to_vec();
        to.publish(self.channel(place), event).ignore();
    }

    /// Tells the ear what a message on one of these channels says. Anybody may publish anything.
    pub(super) fn take(&self, message: &[Value]) -> Option<()> {
        let [Value::BulkString(channel), Value::BulkString(data)] = message else { return None };
        let place = self.place(str::from_utf8(channel).ok()?)?;
        let event = v1::StreamEvent::decode(data.as_slice()).ok()?;
        let event = convert::stream_event_in(event).ok()?;
        self.ear.get()?(place, event);
        Some(())
    }

    fn channel(&self, (tenant, run): Place) -> String {
        format!("{}{}:{}", self.prefix, tenant.uuid().simple(), run.uuid().simple())
    }

    fn place(&self, channel: &str) -> Option<Place> {
        let (tenant, run) = channel.strip_prefix(&self.prefix)?.split_once(':')?;
        let id = |text| Uuid::try_parse(text).ok();
        Some((TenantId::new(id(tenant)?), RunId::new(id(run)?)))
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Place>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
