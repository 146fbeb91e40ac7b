//! Hints by Redis pub/sub: one connection per process, which both publishes and listens (RESP3).
//!
//! [`listen`](Carrier::listen) makes the connection, holds it, and makes it again for ever. While
//! there is none, announcements are lost at once, so a Redis that is away costs nobody any time.

mod streams;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, ProtocolVersion, PushInfo,
    PushKind, RedisError, RedisResult, Value,
};
use tenure_core::StreamEvent;
use tenure_store::Hint;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

use super::{Carrier, Ear, Heard, Lost, Place, StreamEar};
use crate::entropy::Entropy;
use streams::Streams;

/// How long an answer may take. Two ticks: after that, those who wait have looked by themselves.
const ANSWER: Duration = Duration::from_secs(1);
/// How long connecting may take, with name resolution, TLS and login.
const CONNECT: Duration = Duration::from_secs(5);
/// How often a connection is tried out: a peer that vanished says nothing.
const PROBE: Duration = Duration::from_secs(5);
/// The pause before the first attempt to connect again; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Hints by the pub/sub of one Redis (6 or later, or Valkey).
pub struct Redis {
    client: Client,
    channel: String,
    streams: Arc<Streams>,
    entropy: Arc<dyn Entropy>,
    /// The connection, while there is one.
    link: watch::Sender<Option<MultiplexedConnection>>,
    /// Tells the holder of the connection to try it out now.
    doubt: Arc<Notify>,
}

/// The URL does not name a Redis. Says why, and not the URL, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongUrl(String);

impl Redis {
    /// By the Redis that this URL names: `redis://[USER:PASSWORD@]HOST[:PORT]`, `rediss://…` for
    /// TLS, or `unix:///PATH`. Nothing is connected before [`listen`](Carrier::listen).
    ///
    /// The channel of hints is `PREFIX:hints`, that of the events of a run
    /// `PREFIX:stream:TENANT:RUN`. Channels are the same in all numbered databases of a Redis,
    /// so it is the prefix that keeps installations apart which share one.
    pub fn new(url: &str, prefix: &str, entropy: Arc<dyn Entropy>) -> Result<Self, WrongUrl> {
        let client = client(url)?;
        let channel = format!("{prefix}:hints");
        let (link, doubt) = (watch::Sender::new(None), Arc::new(Notify::new()));
        let streams = Arc::new(Streams::new(prefix));
        Ok(Self { client, channel, streams, entropy, link, doubt })
    }

    /// Waits until there is a connection and hints arrive, or until there is none.
    pub async fn wait_until(&self, connected: bool) {
        // The sender is `self`, so the channel cannot be closed.
        let _ = self.link.subscribe().wait_for(|link| link.is_some() == connected).await;
    }

    async fn connect(&self, ear: &Ear) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER))
            .set_push_sender(self.receiver(ear.clone()));
        let mut connection =
            self.client.get_multiplexed_async_connection_with_config(&config).await?;
        connection.subscribe(&self.channel).await?;
        self.probe(&mut connection).await?;
        Ok(connection)
    }

    /// Publishes a text that is no hint: unlike a ping, it fails if hints would.
    async fn probe(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        redis::cmd("PUBLISH").arg(&self.channel).arg("").exec_async(connection).await
    }

    /// Holds the connection until it fails; why it did.
    async fn hold(&self, mut connection: MultiplexedConnection) -> RedisError {
        self.link.send_replace(Some(connection.clone()));
        // Only now: what is followed from here on finds the connection by itself.
        if let Err(error) = self.streams.resume(&mut connection).await {
            self.link.send_replace(None);
            return error;
        }
        let error = loop {
            tokio::select! {
                () = self.doubt.notified() => {}
                () = sleep(PROBE) => {}
            }
            if let Err(error) = self.probe(&mut connection).await {
                break error;
            }
        };
        self.link.send_replace(None);
        error
    }

    /// What the connection does with a message that nobody asked for, and with its own end.
    fn receiver(
        &self,
        ear: Ear,
    ) -> impl Fn(PushInfo) -> Result<(), redis::aio::SendError> + Send + Sync + use<> {
        let (streams, doubt) = (self.streams.clone(), self.doubt.clone());
        move |push| {
            match push.kind {
                PushKind::Message if streams.take(&push.data).is_some() => {}
                PushKind::Message => hint_in(&push.data).into_iter().for_each(|hint| ear(hint)),
                PushKind::Disconnection => doubt.notify_one(),
                _ => {}
            }
            Ok(())
        }
    }

    fn connection(&self) -> Option<MultiplexedConnection> {
        self.link.borrow().clone()
    }

    /// Half of the pause to all of it, so that replicas do not come back together.
    fn jitter(&self, pause: Duration) -> Duration {
        let spread = self.entropy.random() % 512;
        pause.mul_f64(0.5 + f64::from(u32::try_from(spread).unwrap_or(0)) / 1024.0)
    }

    /// Says when it begins to work or to fail, not at every attempt in between.
    fn say(&self, now: &Result<(), RedisError>, well: &mut Option<bool>) {
        let address = self.client.get_connection_info().addr();
        match (now, *well) {
            (Ok(()), None) => tracing::info!("hints go through Redis at {address}"),
            (Ok(()), Some(false)) => tracing::info!("hints go through Redis at {address} again"),
            (Err(error), None | Some(true)) => tracing::warn!(
                "no hints through Redis at {address}, trying again until it is back: {error}"
            ),
            (Ok(()), Some(true)) | (Err(_), Some(false)) => {}
        }
        *well = Some(now.is_ok());
    }
}

#[async_trait]
impl Carrier for Redis {
    async fn announce(&self, hints: &[Hint]) -> Result<(), Lost> {
        let mut connection = self.connection().ok_or(Lost)?;
        let mut publish = redis::pipe();
        for hint in hints {
            publish.publish(&self.channel, hint.encode()).ignore();
        }
        publish.exec_async(&mut connection).await.map_err(|error| {
            tracing::debug!(%error, "Redis did not take hints for other replicas");
            self.doubt.notify_one();
            Lost
        })
    }

    async fn listen(&self, ear: Ear) {
        let (mut pause, mut well) = (FIRST_PAUSE, None);
        loop {
            let failed = match self.connect(&ear).await {
                Ok(connection) => {
                    self.say(&Ok(()), &mut well);
                    let since = Instant::now();
                    let error = self.hold(connection).await;
                    // One that breaks as soon as it is made is no reason to hurry.
                    if since.elapsed() > LONGEST_PAUSE {
                        pause = FIRST_PAUSE;
                    }
                    error
                }
                Err(error) => error,
            };
            self.say(&Err(failed), &mut well);
            sleep(self.jitter(pause)).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    async fn publish(&self, events: &[(Place, StreamEvent)]) -> Result<(), Lost> {
        let mut connection = self.connection().ok_or(Lost)?;
        let mut publish = redis::pipe();
        for (place, event) in events {
            self.streams.publish(&mut publish, *place, event);
        }
        publish.exec_async(&mut connection).await.map_err(|error| {
            tracing::debug!(%error, "Redis did not take events for other replicas");
            self.doubt.notify_one();
            Lost
        })
    }

    fn hear(&self, ear: StreamEar) {
        self.streams.hear(ear);
    }

    async fn follow(&self, place: Place, followed: bool) {
        let done = self.streams.follow(place, followed, self.connection()).await;
        if let Err(error) = done {
            tracing::debug!(%error, "Redis did not hear who follows a run");
            self.doubt.notify_one();
        }
    }
}

/// The hint in a message, which is its channel and its text. Anybody may publish anything.
fn hint_in(message: &[Value]) -> Option<Heard> {
    let [_channel, Value::BulkString(text)] = message else { return None };
    Hint::decode(str::from_utf8(text).ok()?).map(Heard::Hint)
}

fn client(url: &str) -> Result<Client, WrongUrl> {
    let wrong = |error: RedisError| WrongUrl(error.to_string());
    let info = url.into_connection_info().map_err(wrong)?;
    if matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
        return Err(WrongUrl("`#insecure` is not supported: the certificate is checked".into()));
    }
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Client::open(info.set_redis_settings(settings)).map_err(wrong)
}

impl std::error::Error for WrongUrl {}

impl fmt::Display for WrongUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "this is not the URL of a Redis ({}); write redis://USER:PASSWORD@HOST:PORT, \
             rediss://… for TLS, or unix:///PATH, with what is special in a password as %XX",
            self.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemEntropy;

    fn refused(url: &str) -> String {
        let redis = Redis::new(url, "tenure", Arc::new(SystemEntropy));
        redis.err().unwrap_or_else(|| panic!("{url} is taken")).to_string()
    }

    #[test]
    fn a_wrong_url_is_refused_without_being_shown() {
        for wrong in [
            "",
            "localhost:6379",
            "http://:sesame@localhost",
            "redis://",
            "redis://:sesame@localhost:99999",
            "redis://:sesame@localhost/x",
            "redis://:sesame@localhost?protocol=4",
            "rediss://:sesame@localhost#insecure",
        ] {
            let said = refused(wrong);
            assert!(said.contains("redis://USER:PASSWORD@HOST:PORT"), "{wrong}: {said}");
            assert!(!said.contains("sesame"), "{wrong}: {said}");
        }
    }

    #[test]
    fn a_password_and_tls_are_taken() {
        for right in [
            "redis://localhost",
            "rediss://u:p%40ss@redis.example:6380/1",
            "unix:///run/redis.sock",
        ] {
            Redis::new(right, "tenure", Arc::new(SystemEntropy)).map(drop).unwrap();
        }
    }
}
