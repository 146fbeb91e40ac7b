//! Every bound of the system in one place, each with its reason.

use std::time::Duration;

/// Bytes of a name of a tenant, agent, pool or alias: fits a DNS label twice and any table.
pub const NAME: usize = 128;
/// Bytes of a journal key: deep scopes stay readable, and the key index stays narrow.
pub const KEY: usize = 512;
/// Bytes of an idempotency key: room for a URL or a hash with a prefix.
pub const IDEMPOTENCY_KEY: usize = 256;
/// Bytes of a payload kept inline. Larger ones cost every reader of the journal.
pub const PAYLOAD: usize = 1 << 20;
/// Bytes of a message (a failure's text, a cancel reason): a paragraph, not a log file.
pub const MESSAGE: usize = 4 << 10;
/// Bytes of one gRPC message: a commit of a few full payloads.
pub const GRPC_MESSAGE: usize = 4 << 20;
/// Bytes of the body of one HTTP request: a full payload, with room for how JSON writes it.
pub const HTTP_BODY: usize = 4 << 20;
/// Bytes of the body of one HTTP/JSON request: a full gRPC message, whose bytes are a third longer in
/// JSON.
pub const HTTP_JSON: usize = 6 << 20;
/// Parameters in the query of one HTTP/JSON request: every field of a message, a list among them.
pub const QUERY_PARAMETERS: usize = 64;
/// Texts in one request for embeddings: as many as OpenAI takes. Each is a run.
pub const EMBEDDINGS: usize = 2_048;
/// Bytes of a specification.
pub const SPEC: usize = 256 << 10;
/// Bytes of an artifact kept in the store.
pub const ARTIFACT: usize = 1 << 20;
/// Entries in one commit: bounds the work of one decision and the size of one statement.
pub const COMMIT_ENTRIES: usize = 1_000;
/// Entries of one journal: replay is linear, and a run that needs more wants child runs.
pub const JOURNAL_ENTRIES: u64 = 100_000;
/// Entries in a page of a journal, unless the reader asks for fewer.
pub const JOURNAL_PAGE: usize = 1_000;
/// Bytes of payload after which a page of a journal ends. With the entry that went over, a run's
/// input and what surrounds them, a page fits one gRPC message.
pub const JOURNAL_PAGE_BYTES: usize = 1 << 20;
/// Bytes of results of one journal that a worker keeps until its code asks for them: it replays many
/// runs at a time, and reads what is beyond again.
pub const JOURNAL_KEPT: usize = 4 << 20;
/// Objects in a page of a list, at most and by default.
pub const PAGE: usize = 200;
/// Labels on a run, and bytes of one label's key or value.
pub const LABELS: usize = 32;
/// Targets of an alias: a canary needs two, an experiment a handful.
pub const ALIAS_TARGETS: usize = 16;
/// Leases handed out in one poll, leases in one heartbeat, and commits in one batch.
pub const LEASES: usize = 500;
/// Polls that one replica holds at a time: each costs a little memory, and a fleet this large wants
/// more replicas.
pub const POLLS: usize = 20_000;
/// Pools in one poll.
pub const POOLS: usize = 32;
/// How long a poll or a heartbeat may be held: below the idle timeout of common load balancers.
pub const LONG_POLL: Duration = Duration::from_secs(50);

/// How long a lease lasts without a heartbeat: three missed beats of a worker, and how long the runs
/// of a killed one wait.
pub const LEASE_TTL: Duration = Duration::from_secs(10);
/// How long an offered lease waits for its first sign of life: a poller that has gone must not
/// hold the run for a whole lease.
pub const OFFER_TTL: Duration = Duration::from_secs(10);
/// How long a cancelled run may clean up before it is ended by force.
pub const CANCEL_GRACE: Duration = Duration::from_secs(30);
/// Offers in a row that nobody took up before the run fails: something eats the offers.
pub const MAX_OFFERS: u32 = 10;
/// Leases lost in a row without one new journal entry before the run fails: it kills its workers.
pub const MAX_STALLED: u32 = 5;
/// Attempts that a run has before a lost worker or a failure ends it, unless it asks for another
/// number. A lease that was released or parked is no attempt.
pub const MAX_ATTEMPTS: u32 = 50;
/// The pause before a run that lost its lease without progress twice is offered again; it doubles
/// with each further loss.
pub const STALL_BACKOFF: Duration = Duration::from_secs(1);
/// Bytes of an interrupt's title: a line.
pub const TITLE: usize = 512;
/// Bytes of the JSON Schema of an answer: a form, not a catalogue.
pub const SCHEMA: usize = 64 << 10;
/// How deep runs may call runs. An agent that calls itself is stopped here, not by the bill.
pub const DEPTH: u32 = 16;
/// Priorities of runs: 0 unless said otherwise, higher ones first. Few, because the queue is read
/// level by level.
pub const PRIORITIES: std::ops::RangeInclusive<i32> = -9..=9;
/// Keys of waits that a parked run names, for people.
pub const WAIT_KEYS: usize = 16;
/// Tenants in one poll.
pub const TENANTS: usize = 64;
/// How long a pool may be without a poll before people are told that it has no worker.
pub const POOL_SILENCE: Duration = Duration::from_secs(30);
/// How far things are counted for people.
pub const COUNT: u64 = 1_000;
/// How long a message between runs waits before it is tried again.
pub const MESSAGE_RETRY: Duration = Duration::from_secs(10);
/// The longest pause before a run is tried again.
pub const RETRY_BACKOFF: Duration = Duration::from_hours(24);
/// Bytes of an id that a caller gives a request, such as a signal's.
pub const REQUEST_ID: usize = 256;
/// Signals that one run may be sent: its inbox is read from the start after each takeover.
pub const INBOX: u64 = 10_000;
/// Bytes of an ephemeral event of a run: a piece of a text, not a document.
pub const STREAM_EVENT: usize = 64 << 10;
/// Events of a run that wait for one that follows it, in each process; who is slower misses the oldest.
pub const STREAM_BUFFER: usize = 256;
