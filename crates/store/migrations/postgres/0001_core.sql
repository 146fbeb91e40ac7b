-- The tables along the life of a run; docs/data-model.md tells the story. Every primary key starts
-- with the tenant, so that the same schema shards by it. Names sort by bytes (COLLATE "C"), like
-- SQLite and Rust do.

-- The only clock (DB-TIME). Volatile: time goes on within a transaction. Tests replace it.
CREATE FUNCTION tenure_now() RETURNS timestamptz
LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$ SELECT clock_timestamp() $$;

CREATE TABLE tenants (
    tenant_id  uuid PRIMARY KEY,
    name       text COLLATE "C" NOT NULL UNIQUE,
    created_at timestamptz NOT NULL
);

CREATE TABLE agents (
    tenant_id  uuid NOT NULL REFERENCES tenants,
    agent_id   uuid NOT NULL,
    name       text COLLATE "C" NOT NULL,
    latest     bigint NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, agent_id),
    UNIQUE (tenant_id, name)
);

CREATE TABLE agent_versions (
    tenant_id  uuid NOT NULL,
    agent_id   uuid NOT NULL,
    number     bigint NOT NULL CHECK (number > 0),
    digest     bytea NOT NULL,
    pool       text COLLATE "C" NOT NULL,
    spec       bytea NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, agent_id, number),
    UNIQUE (tenant_id, digest, agent_id),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES agents
);

CREATE TABLE aliases (
    tenant_id uuid NOT NULL,
    agent_id  uuid NOT NULL,
    name      text COLLATE "C" NOT NULL,
    targets   jsonb NOT NULL,
    PRIMARY KEY (tenant_id, agent_id, name),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES agents
);

-- Narrow and hot. The room that fillfactor leaves lets an update stay in its page without touching
-- an index (HOT), as long as no index holds a column that beats and commits change.
CREATE TABLE runs (
    tenant_id         uuid NOT NULL,
    run_id            uuid NOT NULL,
    agent_id          uuid NOT NULL,
    version           bigint NOT NULL,
    pool              text COLLATE "C" NOT NULL,
    state             text NOT NULL CHECK (state IN
                          ('queued', 'running', 'waiting', 'succeeded', 'failed', 'cancelled')),
    epoch             bigint NOT NULL,
    next_seq          bigint NOT NULL,
    inbox             bigint NOT NULL,
    revision          bigint NOT NULL,
    -- queued
    ready_at          timestamptz,
    -- running; the lease's epoch is the run's
    lease_id          uuid,
    lease_worker      uuid,
    lease_until       timestamptz,
    lease_started     boolean,
    -- waiting; a blocked run has a failure too
    wait_reason       text CHECK (wait_reason IN ('inbox', 'blocked')),
    -- the end
    output_type       text,
    output_encoding   text,
    output            bytea,
    failure_code      text,
    failure_message   text,
    failure_retryable boolean,
    ended_at          timestamptz,
    -- asked for while force_at is set, done when the state is cancelled
    cancel_reason     text,
    cancel_force_at   timestamptz,
    last_commit       bytea,
    attempts          bigint NOT NULL,
    max_attempts      bigint NOT NULL,
    stalled           bigint NOT NULL,
    offers            bigint NOT NULL,
    input_tokens      bigint NOT NULL,
    output_tokens     bigint NOT NULL,
    cached_tokens     bigint NOT NULL,
    reasoning_tokens  bigint NOT NULL,
    cost_micros       bigint NOT NULL,
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, run_id),
    CHECK (state <> 'queued' OR ready_at IS NOT NULL),
    CHECK (ready_at IS NULL OR state = 'queued' OR wait_reason = 'inbox'),
    CHECK ((state = 'running') = (lease_id IS NOT NULL)),
    CHECK ((state = 'waiting') = (wait_reason IS NOT NULL)),
    CHECK ((state IN ('succeeded', 'failed', 'cancelled')) = (ended_at IS NOT NULL))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);

-- The sweep of expired leases and forced cancels reads all leased runs, which are few. An index on
-- lease_until would save it that and cost every heartbeat an index entry (measured: half the rate).
CREATE INDEX runs_leased ON runs (tenant_id, run_id) WHERE state = 'running';
CREATE INDEX runs_by_agent ON runs (tenant_id, agent_id, run_id);

CREATE TABLE run_inputs (
    tenant_id    uuid NOT NULL,
    run_id       uuid NOT NULL,
    content_type text NOT NULL,
    encoding     text NOT NULL,
    payload      bytea NOT NULL,
    labels       jsonb NOT NULL,
    PRIMARY KEY (tenant_id, run_id)
);

CREATE TABLE run_keys (
    tenant_id uuid NOT NULL,
    key       text COLLATE "C" NOT NULL,
    digest    bytea NOT NULL,
    run_id    uuid NOT NULL,
    PRIMARY KEY (tenant_id, key)
);

-- The queue: a row exactly while its run is queued. Rows live for milliseconds, so dead ones are
-- cleaned by count and without a pause, not by share of the table.
CREATE TABLE run_ready (
    tenant_id uuid NOT NULL,
    run_id    uuid NOT NULL,
    pool      text COLLATE "C" NOT NULL,
    ready_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, run_id)
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0
);
CREATE INDEX run_ready_order ON run_ready (tenant_id, pool, ready_at, run_id);

CREATE TABLE journal (
    tenant_id         uuid NOT NULL,
    run_id            uuid NOT NULL,
    seq               bigint NOT NULL CHECK (seq > 0),
    epoch             bigint NOT NULL,
    at                timestamptz NOT NULL,
    key               text NOT NULL,
    kind              text NOT NULL,
    status            text NOT NULL CHECK (status IN ('succeeded', 'failed')),
    content_type      text,
    encoding          text,
    payload           bytea,
    failure_code      text,
    failure_message   text,
    failure_retryable boolean,
    input             bytea,
    attempt           bigint NOT NULL,
    duration_micros   bigint NOT NULL,
    model             text,
    input_tokens      bigint,
    output_tokens     bigint,
    cached_tokens     bigint,
    reasoning_tokens  bigint,
    cost_micros       bigint,
    PRIMARY KEY (tenant_id, run_id, seq)
);

CREATE TABLE inbox (
    tenant_id    uuid NOT NULL,
    run_id       uuid NOT NULL,
    number       bigint NOT NULL CHECK (number > 0),
    source       text COLLATE "C" NOT NULL,
    name         text NOT NULL,
    content_type text NOT NULL,
    encoding     text NOT NULL,
    payload      bytea NOT NULL,
    at           timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, run_id, number),
    UNIQUE (tenant_id, run_id, source)
);

CREATE TABLE artifacts (
    tenant_id    uuid NOT NULL,
    run_id       uuid NOT NULL,
    name         text COLLATE "C" NOT NULL,
    artifact_id  uuid NOT NULL,
    content_type text NOT NULL,
    digest       bytea NOT NULL,
    payload      bytea NOT NULL,
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, run_id, name)
);

-- What never changes is kept from changing here as well, below every program with a connection.
CREATE FUNCTION tenure_refuse() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: %', TG_OP, TG_TABLE_NAME, TG_ARGV[0]
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;

CREATE TRIGGER agent_versions_immutable BEFORE UPDATE ON agent_versions
FOR EACH ROW EXECUTE FUNCTION tenure_refuse('a version never changes');

CREATE TRIGGER journal_immutable BEFORE UPDATE ON journal
FOR EACH ROW EXECUTE FUNCTION tenure_refuse('a journal entry never changes');

-- Deleting is for retention, which deletes the run first.
CREATE FUNCTION tenure_keep_version() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM runs
               WHERE tenant_id = OLD.tenant_id AND agent_id = OLD.agent_id
                 AND version = OLD.number) THEN
        RAISE EXCEPTION 'DELETE of agent_versions is refused: a run points at the version'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN OLD;
END
$$;

CREATE TRIGGER agent_versions_kept BEFORE DELETE ON agent_versions
FOR EACH ROW EXECUTE FUNCTION tenure_keep_version();

CREATE FUNCTION tenure_keep_journal() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM runs WHERE tenant_id = OLD.tenant_id AND run_id = OLD.run_id) THEN
        RAISE EXCEPTION 'DELETE of journal is refused: its run still exists'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN OLD;
END
$$;

CREATE TRIGGER journal_kept BEFORE DELETE ON journal
FOR EACH ROW EXECUTE FUNCTION tenure_keep_journal();
