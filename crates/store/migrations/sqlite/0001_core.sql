-- The tables along the life of a run; docs/data-model.md tells the story. Every primary key starts
-- with the tenant. Ids are 16 bytes, times are microseconds since 1970-01-01 UTC.

-- The only clock (DB-TIME); SQLite keeps milliseconds. Tests replace it.
CREATE VIEW tenure_clock (now) AS
SELECT CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000;

CREATE TABLE tenants (
    tenant_id   BLOB NOT NULL PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    -- null for any number
    max_running INTEGER CHECK (max_running >= 0),
    -- what the tools of all its agents may do at most; null for anything
    policy      TEXT,
    created_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE agents (
    tenant_id   BLOB NOT NULL REFERENCES tenants (tenant_id),
    agent_id    BLOB NOT NULL,
    name        TEXT NOT NULL,
    latest      INTEGER NOT NULL,
    max_running INTEGER CHECK (max_running >= 0),
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, agent_id),
    UNIQUE (tenant_id, name)
) STRICT;

CREATE TABLE agent_versions (
    tenant_id  BLOB NOT NULL,
    agent_id   BLOB NOT NULL,
    number     INTEGER NOT NULL CHECK (number > 0),
    digest     BLOB NOT NULL,
    pool       TEXT NOT NULL,
    spec       BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, agent_id, number),
    UNIQUE (tenant_id, digest, agent_id),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES agents (tenant_id, agent_id)
) STRICT;

CREATE TABLE aliases (
    tenant_id BLOB NOT NULL,
    agent_id  BLOB NOT NULL,
    name      TEXT NOT NULL,
    targets   TEXT NOT NULL CHECK (json_valid(targets)),
    PRIMARY KEY (tenant_id, agent_id, name),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES agents (tenant_id, agent_id)
) STRICT;

-- What runs may use together in a day or month; `agent_id` is nil for all of the tenant's.
CREATE TABLE allowances (
    tenant_id   BLOB NOT NULL,
    agent_id    BLOB NOT NULL,
    period      TEXT NOT NULL CHECK (period IN ('day', 'month')),
    cost_micros INTEGER,
    tokens      INTEGER,
    tool_calls  INTEGER,
    PRIMARY KEY (tenant_id, agent_id, period)
) STRICT;

-- What was used, by day. Those that write at the same time write to different rows, told apart by
-- `writer`: a sum that everybody adds to would be the one row that everybody waits for.
CREATE TABLE spent (
    tenant_id        BLOB NOT NULL,
    -- since 1970-01-01, in UTC
    day              INTEGER NOT NULL,
    agent_id         BLOB NOT NULL,
    version          INTEGER NOT NULL,
    -- empty for what no model was asked for
    model            TEXT NOT NULL,
    writer           INTEGER NOT NULL,
    model_calls      INTEGER NOT NULL,
    -- of these, those whose price is not known
    unpriced         INTEGER NOT NULL,
    tool_calls       INTEGER NOT NULL,
    input_tokens     INTEGER NOT NULL,
    output_tokens    INTEGER NOT NULL,
    cached_tokens    INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    cost_micros      INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, day, agent_id, version, model, writer)
) STRICT;

-- What is reserved for calls of models that have no result yet.
CREATE TABLE holds (
    tenant_id   BLOB NOT NULL,
    run_id      BLOB NOT NULL,
    key         TEXT NOT NULL,
    agent_id    BLOB NOT NULL,
    -- null if the price is not known
    cost_micros INTEGER,
    tokens      INTEGER NOT NULL,
    until       INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, run_id, key)
) STRICT;

-- Narrow and hot: no index holds a column that beats and commits change.
CREATE TABLE runs (
    -- given for life
    tenant_id                BLOB NOT NULL,
    run_id                   BLOB NOT NULL,
    agent_id                 BLOB NOT NULL,
    version                  INTEGER NOT NULL,
    pool                     TEXT NOT NULL,
    max_attempts             INTEGER NOT NULL,
    retry_limit              INTEGER NOT NULL,
    retry_backoff_micros     INTEGER NOT NULL,
    retry_max_backoff_micros INTEGER NOT NULL,
    start_at                 INTEGER NOT NULL,
    deadline                 INTEGER,
    concurrency_key          TEXT,
    -- the caller and the key of its journal, if it was called; else both null, as is detached
    parent_run               BLOB,
    parent_key               TEXT,
    detached                 INTEGER,
    depth                    INTEGER NOT NULL,
    -- the run whose journal it only checks
    check_run                BLOB,
    created_at               INTEGER NOT NULL,
    -- where it stands
    state                    TEXT NOT NULL CHECK (state IN
                                 ('queued', 'running', 'waiting',
                                  'succeeded', 'failed', 'cancelled')),
    epoch                    INTEGER NOT NULL,
    next_seq                 INTEGER NOT NULL,
    inbox                    INTEGER NOT NULL,
    revision                 INTEGER NOT NULL,
    -- queued, or waiting and asleep
    ready_at                 INTEGER,
    -- running; the lease's epoch is the run's
    lease_id                 BLOB,
    lease_worker             BLOB,
    lease_until              INTEGER,
    lease_started            INTEGER,
    -- waiting; a blocked run has a failure too, a paused one says who steered it, and one that
    -- waits for its inbox has the open keys, one a line
    wait_reason              TEXT CHECK (wait_reason IN ('inbox', 'blocked', 'paused', 'turn')),
    wait_on                  TEXT,
    -- the end
    output_type              TEXT,
    output_encoding          TEXT,
    output                   BLOB,
    failure_code             TEXT,
    failure_message          TEXT,
    failure_retryable        INTEGER,
    ended_at                 INTEGER,
    -- what its owner was asked for; who steered it, and why: asked, paused or cancelled it
    request                  TEXT CHECK (request IN ('cancel', 'pause')),
    steer_actor              TEXT,
    steer_reason             TEXT,
    cancel_force_at          INTEGER,
    last_commit              BLOB,
    attempts                 INTEGER NOT NULL,
    stalled                  INTEGER NOT NULL,
    offers                   INTEGER NOT NULL,
    retried                  INTEGER NOT NULL,
    priority                 INTEGER NOT NULL,
    children                 INTEGER NOT NULL,
    interrupts               INTEGER NOT NULL,
    posted                   INTEGER NOT NULL,
    input_tokens             INTEGER NOT NULL,
    output_tokens            INTEGER NOT NULL,
    cached_tokens            INTEGER NOT NULL,
    reasoning_tokens         INTEGER NOT NULL,
    cost_micros              INTEGER NOT NULL,
    tool_calls               INTEGER NOT NULL,
    -- JSON: what the runs that it called have used, if they have
    called                   TEXT,
    -- JSON: what it may use at most, if that is bounded
    budget                   TEXT,
    updated_at               INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, run_id),
    CHECK ((parent_run IS NULL) = (parent_key IS NULL)),
    CHECK ((parent_run IS NULL) = (detached IS NULL)),
    CHECK (state <> 'queued' OR ready_at IS NOT NULL),
    CHECK (ready_at IS NULL OR state = 'queued' OR wait_reason IS 'inbox'),
    CHECK ((state = 'running') = (lease_id IS NOT NULL)),
    CHECK ((state = 'waiting') = (wait_reason IS NOT NULL)),
    CHECK ((wait_reason IS 'inbox') = (wait_on IS NOT NULL)),
    CHECK ((state = 'succeeded') = (output IS NOT NULL)),
    CHECK ((state = 'failed' OR wait_reason IS 'blocked') = (failure_code IS NOT NULL)),
    CHECK ((state IN ('succeeded', 'failed', 'cancelled')) = (ended_at IS NOT NULL)),
    CHECK (request IS NULL OR state = 'running'),
    CHECK ((request IS 'cancel') = (cancel_force_at IS NOT NULL)),
    CHECK ((request IS NOT NULL OR state = 'cancelled' OR wait_reason IS 'paused')
           = (steer_actor IS NOT NULL))
) STRICT;

-- The sweep of expired leases and forced cancels reads all leased runs, which are few. By agent,
-- because that is what caps count.
CREATE INDEX runs_leased ON runs (tenant_id, agent_id, run_id) WHERE state = 'running';
-- For the sweep, which crosses tenants.
CREATE INDEX runs_by_deadline ON runs (deadline) WHERE deadline IS NOT NULL AND ended_at IS NULL;
CREATE INDEX runs_by_agent ON runs (tenant_id, agent_id, run_id);
CREATE INDEX runs_failed ON runs (tenant_id, failure_code, run_id) WHERE state = 'failed';
CREATE INDEX runs_by_parent ON runs (tenant_id, parent_run, run_id) WHERE parent_run IS NOT NULL;
CREATE INDEX runs_by_concurrency ON runs (tenant_id, concurrency_key, run_id)
    WHERE concurrency_key IS NOT NULL;
-- The one that has its turn, and those that wait for it: few, however many have ended.
CREATE INDEX runs_alive_by_concurrency ON runs (tenant_id, concurrency_key, run_id)
    WHERE concurrency_key IS NOT NULL AND ended_at IS NULL;

CREATE TABLE run_inputs (
    tenant_id    BLOB NOT NULL,
    run_id       BLOB NOT NULL,
    content_type TEXT NOT NULL,
    encoding     TEXT NOT NULL,
    payload      BLOB NOT NULL,
    labels       TEXT NOT NULL CHECK (json_valid(labels)),
    PRIMARY KEY (tenant_id, run_id)
) STRICT;

CREATE TABLE run_keys (
    tenant_id BLOB NOT NULL,
    key       TEXT NOT NULL,
    digest    BLOB NOT NULL,
    run_id    BLOB NOT NULL,
    PRIMARY KEY (tenant_id, key)
) STRICT;

-- The queue: a row exactly while its run is queued, or asleep.
CREATE TABLE run_ready (
    tenant_id BLOB NOT NULL,
    run_id    BLOB NOT NULL,
    agent_id  BLOB NOT NULL,
    pool      TEXT NOT NULL,
    -- the agent if it has a cap, else nil
    lane      BLOB NOT NULL,
    -- the priority with the other sign, so that the first is the least
    rank      INTEGER NOT NULL,
    ready_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, run_id)
) STRICT;
CREATE INDEX run_ready_order ON run_ready (tenant_id, pool, lane, rank, ready_at, run_id);

-- Which run of a concurrency key may go on. Without a run: locked by somebody, had by nobody.
CREATE TABLE turns (
    tenant_id       BLOB NOT NULL,
    concurrency_key TEXT NOT NULL,
    run_id          BLOB,
    PRIMARY KEY (tenant_id, concurrency_key)
) STRICT;

-- When somebody last asked for the runs of a pool.
CREATE TABLE pools (
    tenant_id BLOB NOT NULL,
    pool      TEXT NOT NULL,
    polled_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, pool)
) STRICT;

CREATE TABLE journal (
    tenant_id         BLOB NOT NULL,
    run_id            BLOB NOT NULL,
    seq               INTEGER NOT NULL CHECK (seq > 0),
    epoch             INTEGER NOT NULL,
    at                INTEGER NOT NULL,
    key               TEXT NOT NULL,
    kind              TEXT NOT NULL,
    status            TEXT NOT NULL CHECK (status IN
                          ('opened', 'succeeded', 'failed', 'steered')),
    -- JSON: what is opened, without the payload
    opening           TEXT,
    content_type      TEXT,
    encoding          TEXT,
    payload           BLOB,
    failure_code      TEXT,
    failure_message   TEXT,
    failure_retryable INTEGER,
    -- who steered, and why
    actor             TEXT,
    reason            TEXT,
    -- the bytes that count in a page
    size              INTEGER NOT NULL,
    input             BLOB,
    attempt           INTEGER NOT NULL,
    duration_micros   INTEGER NOT NULL,
    model             TEXT,
    input_tokens      INTEGER,
    output_tokens     INTEGER,
    cached_tokens     INTEGER,
    reasoning_tokens  INTEGER,
    cost_micros       INTEGER,
    tool_calls        INTEGER,
    PRIMARY KEY (tenant_id, run_id, seq),
    CHECK ((status = 'opened') = (opening IS NOT NULL)),
    CHECK ((status = 'failed') = (failure_code IS NOT NULL)),
    CHECK ((status = 'steered') = (actor IS NOT NULL)),
    CHECK (status <> 'succeeded' OR payload IS NOT NULL)
) STRICT;

CREATE TABLE inbox (
    tenant_id         BLOB NOT NULL,
    run_id            BLOB NOT NULL,
    number            INTEGER NOT NULL CHECK (number > 0),
    source            TEXT NOT NULL,
    topic             TEXT NOT NULL CHECK (topic IN ('signal', 'wait')),
    -- the signal's, or the key of what was waited for
    name              TEXT NOT NULL,
    content_type      TEXT,
    encoding          TEXT,
    payload           BLOB,
    failure_code      TEXT,
    failure_message   TEXT,
    failure_retryable INTEGER,
    -- JSON: what a called run has used, at its end
    usage             TEXT,
    at                INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, run_id, number),
    UNIQUE (tenant_id, run_id, source),
    CHECK ((payload IS NULL) = (failure_code IS NOT NULL))
) STRICT;

-- What runs ask people and systems. Found by people: by time, by run.
CREATE TABLE interrupts (
    tenant_id         BLOB NOT NULL,
    interrupt_id      BLOB NOT NULL,
    run_id            BLOB NOT NULL,
    agent_id          BLOB NOT NULL,
    key               TEXT NOT NULL,
    kind              TEXT NOT NULL CHECK (kind IN ('approval', 'input', 'choice')),
    title             TEXT NOT NULL,
    content_type      TEXT NOT NULL,
    encoding          TEXT NOT NULL,
    payload           BLOB NOT NULL,
    schema            TEXT NOT NULL,
    decisions         TEXT NOT NULL CHECK (json_valid(decisions)),
    assignee          TEXT NOT NULL,
    timeout_micros    INTEGER,
    default_decision  TEXT,
    opened_at         INTEGER NOT NULL,
    due_at            INTEGER,
    state             TEXT NOT NULL CHECK (state IN ('open', 'answered', 'timed_out', 'closed')),
    -- answered
    answer_decision   TEXT,
    answer_type       TEXT,
    answer_encoding   TEXT,
    answer            BLOB,
    answer_reason     TEXT,
    answer_actor      TEXT,
    ended_at          INTEGER,
    PRIMARY KEY (tenant_id, interrupt_id),
    CHECK ((state = 'open') = (ended_at IS NULL)),
    CHECK ((state = 'answered') = (answer_decision IS NOT NULL))
) STRICT;
CREATE INDEX interrupts_open ON interrupts (tenant_id, opened_at, interrupt_id)
    WHERE state = 'open';
CREATE INDEX interrupts_by_time ON interrupts (tenant_id, opened_at, interrupt_id);
CREATE INDEX interrupts_by_run ON interrupts (tenant_id, run_id, opened_at, interrupt_id);
-- For the sweep, which crosses tenants.
CREATE INDEX interrupts_due ON interrupts (due_at) WHERE state = 'open' AND due_at IS NOT NULL;

-- What one run causes in another: a row from the change that causes it until that has happened.
CREATE TABLE outbox (
    tenant_id         BLOB NOT NULL,
    run_id            BLOB NOT NULL,
    number            INTEGER NOT NULL CHECK (number > 0),
    kind              TEXT NOT NULL CHECK (kind IN
                          ('call', 'ended', 'end_children', 'free_turn', 'take_turn')),
    content_type      TEXT,
    encoding          TEXT,
    payload           BLOB,
    failure_code      TEXT,
    failure_message   TEXT,
    failure_retryable INTEGER,
    -- what is not payload or failure
    detail            TEXT NOT NULL CHECK (json_valid(detail)),
    -- when somebody may take it, for the first time or again
    due_at            INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, run_id, number),
    CHECK (kind NOT IN ('call', 'ended') OR (payload IS NULL) = (failure_code IS NOT NULL))
) STRICT;
-- For those who take them, who cross tenants.
CREATE INDEX outbox_due ON outbox (due_at);

CREATE TABLE artifacts (
    tenant_id    BLOB NOT NULL,
    run_id       BLOB NOT NULL,
    name         TEXT NOT NULL,
    artifact_id  BLOB NOT NULL,
    content_type TEXT NOT NULL,
    digest       BLOB NOT NULL,
    payload      BLOB NOT NULL,
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, run_id, name)
) STRICT;

-- What never changes is kept from changing here as well, below every program with a connection.
CREATE TRIGGER agent_versions_immutable BEFORE UPDATE ON agent_versions
BEGIN
    SELECT RAISE(ABORT, 'UPDATE of agent_versions is refused: a version never changes');
END;

CREATE TRIGGER journal_immutable BEFORE UPDATE ON journal
BEGIN
    SELECT RAISE(ABORT, 'UPDATE of journal is refused: a journal entry never changes');
END;

CREATE TRIGGER interrupts_immutable BEFORE UPDATE ON interrupts WHEN OLD.state <> 'open'
BEGIN
    SELECT RAISE(ABORT, 'UPDATE of interrupts is refused: an interrupt ends once');
END;

-- Deleting is for retention, which deletes the run first.
CREATE TRIGGER agent_versions_kept BEFORE DELETE ON agent_versions
WHEN EXISTS (SELECT 1 FROM runs
             WHERE tenant_id = OLD.tenant_id AND agent_id = OLD.agent_id
               AND version = OLD.number)
BEGIN
    SELECT RAISE(ABORT, 'DELETE of agent_versions is refused: a run points at the version');
END;

CREATE TRIGGER journal_kept BEFORE DELETE ON journal
WHEN EXISTS (SELECT 1 FROM runs WHERE tenant_id = OLD.tenant_id AND run_id = OLD.run_id)
BEGIN
    SELECT RAISE(ABORT, 'DELETE of journal is refused: its run still exists');
END;

CREATE TRIGGER interrupts_kept BEFORE DELETE ON interrupts
WHEN EXISTS (SELECT 1 FROM runs WHERE tenant_id = OLD.tenant_id AND run_id = OLD.run_id)
BEGIN
    SELECT RAISE(ABORT, 'DELETE of interrupts is refused: its run still exists');
END;
