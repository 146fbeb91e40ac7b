-- The tables along the life of a run; docs/data-model.md tells the story. Every primary key starts
-- with the tenant. Ids are 16 bytes, times are microseconds since 1970-01-01 UTC.

-- The only clock (DB-TIME); SQLite keeps milliseconds. Tests replace it.
CREATE VIEW tenure_clock (now) AS
SELECT CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000;

CREATE TABLE tenants (
    tenant_id  BLOB NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE agents (
    tenant_id  BLOB NOT NULL REFERENCES tenants (tenant_id),
    agent_id   BLOB NOT NULL,
    name       TEXT NOT NULL,
    latest     INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
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

-- Narrow and hot: no index holds a column that beats and commits change.
CREATE TABLE runs (
    tenant_id         BLOB NOT NULL,
    run_id            BLOB NOT NULL,
    agent_id          BLOB NOT NULL,
    version           INTEGER NOT NULL,
    pool              TEXT NOT NULL,
    state             TEXT NOT NULL CHECK (state IN
                          ('queued', 'running', 'waiting', 'succeeded', 'failed', 'cancelled')),
    epoch             INTEGER NOT NULL,
    next_seq          INTEGER NOT NULL,
    inbox             INTEGER NOT NULL,
    revision          INTEGER NOT NULL,
    -- queued
    ready_at          INTEGER,
    -- running; the lease's epoch is the run's
    lease_id          BLOB,
    lease_worker      BLOB,
    lease_until       INTEGER,
    lease_started     INTEGER,
    -- waiting; a blocked run has a failure too
    wait_reason       TEXT CHECK (wait_reason IN ('inbox', 'blocked')),
    -- the end
    output_type       TEXT,
    output_encoding   TEXT,
    output            BLOB,
    failure_code      TEXT,
    failure_message   TEXT,
    failure_retryable INTEGER,
    ended_at          INTEGER,
    -- asked for while force_at is set, done when the state is cancelled
    cancel_reason     TEXT,
    cancel_force_at   INTEGER,
    last_commit       BLOB,
    attempts          INTEGER NOT NULL,
    max_attempts      INTEGER NOT NULL,
    stalled           INTEGER NOT NULL,
    offers            INTEGER NOT NULL,
    input_tokens      INTEGER NOT NULL,
    output_tokens     INTEGER NOT NULL,
    cached_tokens     INTEGER NOT NULL,
    reasoning_tokens  INTEGER NOT NULL,
    cost_micros       INTEGER NOT NULL,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, run_id),
    CHECK (state <> 'queued' OR ready_at IS NOT NULL),
    CHECK (ready_at IS NULL OR state = 'queued' OR wait_reason = 'inbox'),
    CHECK ((state = 'running') = (lease_id IS NOT NULL)),
    CHECK ((state = 'waiting') = (wait_reason IS NOT NULL)),
    CHECK ((state IN ('succeeded', 'failed', 'cancelled')) = (ended_at IS NOT NULL))
) STRICT;

-- The sweep of expired leases and forced cancels reads all leased runs, which are few.
CREATE INDEX runs_leased ON runs (tenant_id, run_id) WHERE state = 'running';
CREATE INDEX runs_by_agent ON runs (tenant_id, agent_id, run_id);

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

-- The queue: a row exactly while its run is queued.
CREATE TABLE run_ready (
    tenant_id BLOB NOT NULL,
    run_id    BLOB NOT NULL,
    pool      TEXT NOT NULL,
    ready_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, run_id)
) STRICT;
CREATE INDEX run_ready_order ON run_ready (tenant_id, pool, ready_at, run_id);

CREATE TABLE journal (
    tenant_id         BLOB NOT NULL,
    run_id            BLOB NOT NULL,
    seq               INTEGER NOT NULL CHECK (seq > 0),
    epoch             INTEGER NOT NULL,
    at                INTEGER NOT NULL,
    key               TEXT NOT NULL,
    kind              TEXT NOT NULL,
    status            TEXT NOT NULL CHECK (status IN ('succeeded', 'failed')),
    content_type      TEXT,
    encoding          TEXT,
    payload           BLOB,
    failure_code      TEXT,
    failure_message   TEXT,
    failure_retryable INTEGER,
    input             BLOB,
    attempt           INTEGER NOT NULL,
    duration_micros   INTEGER NOT NULL,
    model             TEXT,
    input_tokens      INTEGER,
    output_tokens     INTEGER,
    cached_tokens     INTEGER,
    reasoning_tokens  INTEGER,
    cost_micros       INTEGER,
    PRIMARY KEY (tenant_id, run_id, seq)
) STRICT;

CREATE TABLE inbox (
    tenant_id    BLOB NOT NULL,
    run_id       BLOB NOT NULL,
    number       INTEGER NOT NULL CHECK (number > 0),
    source       TEXT NOT NULL,
    name         TEXT NOT NULL,
    content_type TEXT NOT NULL,
    encoding     TEXT NOT NULL,
    payload      BLOB NOT NULL,
    at           INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, run_id, number),
    UNIQUE (tenant_id, run_id, source)
) STRICT;

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
