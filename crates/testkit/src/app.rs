//! A control plane in this process, with a real listener, over a store of the test's choice.

use std::sync::Arc;
use std::time::Duration;

use tenure_core::Timestamp;
use tenure_sdk::{Client, v1};
use tenure_server::carrier::{Carrier, Database};
use tenure_server::{Service, Settings, SystemEntropy};
use tenure_store::Store;
use tokio_util::sync::CancellationToken;

use crate::door;

/// A running control plane and a client of it. It stops when it is dropped.
pub struct App {
    /// The use cases, for tests that go around the wire.
    pub service: Arc<Service>,
    /// What it stands on.
    pub store: Arc<dyn Store>,
    /// A client of the tenant `default`.
    pub client: Client,
    /// Where it listens, as a URL.
    pub url: String,
    shutdown: CancellationToken,
}

/// Settings for tests: looks every few milliseconds, so that nothing has to wait for a tick.
pub fn quick() -> Settings {
    Settings { tick: Duration::from_millis(10), ..Settings::default() }
}

impl App {
    /// Over SQLite in memory.
    pub async fn start() -> Self {
        let store = tenure_store::open("sqlite::memory:").await.expect("sqlite in memory opens");
        Self::over(store, quick()).await
    }

    /// Over this store, with these settings. Several may share a store, like replicas.
    pub async fn over(store: Arc<dyn Store>, settings: Settings) -> Self {
        let carrier = Arc::new(Database::new(store.clone()));
        Self::carried(store, settings, carrier).await
    }

    /// The same, with hints to and from others by this carrier.
    pub async fn carried(
        store: Arc<dyn Store>,
        settings: Settings,
        carrier: Arc<dyn Carrier>,
    ) -> Self {
        let entropy = Arc::new(SystemEntropy);
        let service = Service::with_carrier(store.clone(), entropy, settings, carrier);
        let tenant = "default".parse().expect("`default` is a name");
        service.ensure_tenant(tenant).await.expect("the tenant can be created");
        let any_port = ([127, 0, 0, 1], 0).into();
        let listener = tenure_server::bind(any_port).await.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let url = format!("http://{address}");
        let shutdown = CancellationToken::new();
        tokio::spawn(tenure_server::serve(service.clone(), listener, shutdown.clone()));
        let client = client(&url);
        Self { service, store, client, url, shutdown }
    }

    /// Stops the database's clock where it stands, and moves it on by so much.
    pub async fn pass(&self, time: Duration) -> Timestamp {
        let now = self.store.now().await.expect("the store answers") + time;
        self.store.set_clock(Some(now)).await.expect("the clock can be set");
        now
    }

    /// Publishes an agent whose runs wait in the pool of the same name.
    pub async fn publish(&self, agent: &str) {
        let document = format!("{{name: {agent}, kind: external, pool: {agent}}}");
        let request = v1::PublishVersionRequest { tenant: "default".into(), document };
        self.client.agents().publish_version(request).await.expect("the document is right");
    }

    /// Creates a run of an agent with this JSON as its input; its id.
    pub async fn create(&self, agent: &str, input: &str) -> String {
        let request = v1::CreateRunRequest {
            tenant: "default".into(),
            agent: agent.into(),
            input: Some(v1::Payload {
                content_type: "application/json".into(),
                encoding: String::new(),
                data: input.to_owned().into(),
            }),
            ..v1::CreateRunRequest::default()
        };
        let created = self.client.runs().create_run(request).await;
        created.expect("the run can be created").into_inner().id
    }

    /// The run as it is.
    pub async fn run(&self, run: &str) -> v1::Run {
        let request = v1::GetRunRequest { tenant: "default".into(), run: run.into(), wait: None };
        self.client.runs().get_run(request).await.expect("the run is there").into_inner()
    }

    /// Waits until the run is so, and gives it.
    pub async fn until(&self, run: &str, so: impl Fn(&v1::Run) -> bool) -> v1::Run {
        let request = v1::WatchRunRequest {
            tenant: "default".into(),
            run: run.into(),
            after_seq: 0,
            stream: false,
        };
        let watched = self.client.runs().watch_run(request).await;
        let mut events = watched.expect("the run can be watched").into_inner();
        let mut last = None;
        while let Some(event) = events.message().await.expect("the watch goes on") {
            if let Some(v1::watch_run_response::Event::Run(run)) = event.event {
                if so(&run) {
                    return run;
                }
                last = Some(run);
            }
        }
        panic!("the run never was so; it is {last:?}");
    }

    /// Waits until the run has ended, and gives it.
    pub async fn ended(&self, run: &str) -> v1::Run {
        self.until(run, |run| run.ended_at.is_some()).await
    }

    /// Waits until a run asks something, and gives the oldest open question.
    pub async fn question(&self, run: &str) -> v1::Interrupt {
        self.until(run, |run| run.open_interrupts > 0).await;
        let (tenant, run) = ("default".into(), run.into());
        let request =
            v1::ListInterruptsRequest { tenant, run, ..v1::ListInterruptsRequest::default() };
        let open = self.client.inbox().list_interrupts(request).await;
        let open = open.expect("the inbox can be read").into_inner().interrupts;
        open.into_iter().next().expect("a question is open")
    }

    /// Answers a question. `value` is JSON, of an edit or a response.
    pub async fn answer(&self, question: &v1::Interrupt, decision: v1::Decision, value: &str) {
        let value = (!value.is_empty()).then(|| v1::Payload {
            content_type: "application/json".into(),
            encoding: String::new(),
            data: value.to_owned().into(),
        });
        let actor = "ann@example.com".into();
        let answer = v1::Answer { decision: decision.into(), value, reason: String::new(), actor };
        let request = v1::ResolveInterruptRequest {
            tenant: "default".into(),
            interrupt: question.id.clone(),
            answer: Some(answer),
        };
        let resolved = self.client.inbox().resolve_interrupt(request).await;
        resolved.expect("the question is open");
    }

    /// The whole journal.
    pub async fn journal(&self, run: &str) -> Vec<v1::Entry> {
        let mut entries: Vec<v1::Entry> = Vec::new();
        loop {
            let after_seq = entries.last().map_or(0, |entry| entry.seq);
            let request = v1::ListEntriesRequest {
                tenant: "default".into(),
                run: run.into(),
                after_seq,
                page_size: 0,
            };
            let page = self.client.runs().list_entries(request).await;
            let page = page.expect("the journal can be read").into_inner();
            entries.extend(page.entries);
            if !page.more {
                return entries;
            }
        }
    }

    /// The keys of the journal, in order.
    pub async fn keys(&self, run: &str) -> Vec<String> {
        let key = |entry: v1::Entry| entry.record.unwrap_or_default().key;
        self.journal(run).await.into_iter().map(key).collect()
    }

    /// Stops serving, as a deploy does: held calls are answered, streams end.
    pub fn stop(&self) {
        self.shutdown.cancel();
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// A client of the tenant `default`, through the door that the environment says.
pub fn client(url: &str) -> Client {
    let tenant = "default".parse().expect("`default` is a name");
    let url = if door::is_http() { door::open(url) } else { url.to_owned() };
    Client::connect(&url, tenant).expect("the URL is one")
}
