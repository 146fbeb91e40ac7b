-- The tables along the life of a run; docs/data-model.md tells the story. Every primary key starts
-- with the tenant, so that the same schema shards by it. Names sort by bytes (COLLATE "C"), like
-- SQLite and Rust do.

-- The only clock (DB-TIME). Volatile: time goes on within a transaction. Tests replace it.
CREATE FUNCTION tenure_now() RETURNS timestamptz
LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$ SELECT clock_timestamp() $$;

-- Ends a statement that writes what was decided from memory: everything must be as it was expected to
-- be, and the time, if it is given, one that this clock agrees with.
CREATE FUNCTION tenure_settle(holds bigint, expected bigint, decided_at timestamptz)
RETURNS timestamptz
LANGUAGE plpgsql
AS $$
DECLARE
    now timestamptz := tenure_now();
BEGIN
    IF holds <> expected THEN
        RAISE EXCEPTION '% of % runs and agents are as they were when it was decided',
            holds, expected USING ERRCODE = 'TN001';
    END IF;
    IF decided_at < now - interval '1 second'
       OR decided_at > now + interval '100 milliseconds' THEN
        RAISE EXCEPTION 'it was decided at %, and now it is %', decided_at, now
            USING ERRCODE = 'TN002';
    END IF;
    RETURN now;
END
$$;

CREATE TABLE tenants (
    tenant_id   uuid PRIMARY KEY,
    name        text COLLATE "C" NOT NULL UNIQUE,
    -- null for any number
    max_running bigint CHECK (max_running >= 0),
    -- what the tools of all its agents may do at most; null for anything
    policy      text,
    created_at  timestamptz NOT NULL
);

CREATE TABLE agents (
    tenant_id   uuid NOT NULL REFERENCES tenants,
    agent_id    uuid NOT NULL,
    name        text COLLATE "C" NOT NULL,
    latest      bigint NOT NULL,
    max_running bigint CHECK (max_running >= 0),
    created_at  timestamptz NOT NULL,
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

-- What runs may use together in a day or month; `agent_id` is nil for all of the tenant's.
CREATE TABLE allowances (
    tenant_id   uuid NOT NULL,
    agent_id    uuid NOT NULL,
    period      text COLLATE "C" NOT NULL CHECK (period IN ('day', 'month')),
    cost_micros bigint,
    tokens      bigint,
    tool_calls  bigint,
    PRIMARY KEY (tenant_id, agent_id, period)
);

-- What was used, by day. Those that write at the same time write to different rows, told apart by
-- `writer`: a sum that everybody adds to would be the one row that everybody waits for.
CREATE TABLE spent (
    tenant_id        uuid NOT NULL,
    -- since 1970-01-01, in UTC
    day              bigint NOT NULL,
    agent_id         uuid NOT NULL,
    version          bigint NOT NULL,
    -- empty for what no model was asked for
    model            text COLLATE "C" NOT NULL,
    writer           bigint NOT NULL,
    model_calls      bigint NOT NULL,
    -- of these, those whose price is not known
    unpriced         bigint NOT NULL,
    tool_calls       bigint NOT NULL,
    input_tokens     bigint NOT NULL,
    output_tokens    bigint NOT NULL,
    cached_tokens    bigint NOT NULL,
    reasoning_tokens bigint NOT NULL,
    cost_micros      bigint NOT NULL,
    PRIMARY KEY (tenant_id, day, agent_id, version, model, writer)
) WITH (fillfactor = 50);

-- What is reserved for calls of models that have no result yet.
CREATE TABLE holds (
    tenant_id   uuid NOT NULL,
    run_id      uuid NOT NULL,
    key         text COLLATE "C" NOT NULL,
    agent_id    uuid NOT NULL,
    -- null if the price is not known
    cost_micros bigint,
    tokens      bigint NOT NULL,
    until       timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, run_id, key)
);

-- Narrow and hot. What columns may hold together is not checked here: every statement that writes
-- would read, plan and evaluate each check anew (measured: a third of what it costs). The rules keep
-- it, and the tests add the checks: crates/testkit/src/postgres/checks.sql.
-- The room that fillfactor leaves lets an update stay in its page without touching
-- an index (HOT), as long as no index holds a column that beats and commits change.
CREATE TABLE runs (
    -- given for life
    tenant_id                uuid NOT NULL,
    run_id                   uuid NOT NULL,
    agent_id                 uuid NOT NULL,
    version                  bigint NOT NULL,
    pool                     text COLLATE "C" NOT NULL,
    max_attempts             bigint NOT NULL,
    retry_limit              bigint NOT NULL,
    retry_backoff_micros     bigint NOT NULL,
    retry_max_backoff_micros bigint NOT NULL,
    start_at                 timestamptz NOT NULL,
    deadline                 timestamptz,
    concurrency_key          text COLLATE "C",
    -- the caller and the key of its journal, if it was called; else both null, as is detached
    parent_run               uuid,
    parent_key               text,
    detached                 boolean,
    depth                    bigint NOT NULL,
    -- the run whose journal it only checks
    check_run                uuid,
    created_at               timestamptz NOT NULL,
    -- where it stands
    state                    text NOT NULL,
    epoch                    bigint NOT NULL,
    next_seq                 bigint NOT NULL,
    inbox                    bigint NOT NULL,
    revision                 bigint NOT NULL,
    -- queued, or waiting and asleep
    ready_at                 timestamptz,
    -- running; the lease's epoch is the run's
    lease_id                 uuid,
    lease_worker             uuid,
    lease_until              timestamptz,
    lease_started            boolean,
    -- waiting; a blocked run has a failure too, a paused one says who steered it, and one that
    -- waits for its inbox has the open keys, one a line
    wait_reason              text,
    wait_on                  text,
    -- the end
    output_type              text,
    output_encoding          text,
    output                   bytea,
    failure_code             text COLLATE "C",
    failure_message          text,
    failure_retryable        boolean,
    ended_at                 timestamptz,
    -- what its owner was asked for; who steered it, and why: asked, paused or cancelled it
    request                  text,
    steer_actor              text,
    steer_reason             text,
    cancel_force_at          timestamptz,
    last_commit              bytea,
    attempts                 bigint NOT NULL,
    stalled                  bigint NOT NULL,
    offers                   bigint NOT NULL,
    retried                  bigint NOT NULL,
    priority                 bigint NOT NULL,
    children                 bigint NOT NULL,
    interrupts               bigint NOT NULL,
    posted                   bigint NOT NULL,
    input_tokens             bigint NOT NULL,
    output_tokens            bigint NOT NULL,
    cached_tokens            bigint NOT NULL,
    reasoning_tokens         bigint NOT NULL,
    cost_micros              bigint NOT NULL,
    tool_calls               bigint NOT NULL,
    -- JSON: what the runs that it called have used, if they have
    called                   text,
    -- JSON: what it may use at most, if that is bounded
    budget                   text,
    updated_at               timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, run_id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);

-- The sweep of expired leases and forced cancels reads all leased runs, which are few. An index on
-- lease_until would save it that and cost every heartbeat an index entry (measured: half the rate).
-- By agent, because that is what caps count.
CREATE INDEX runs_leased ON runs (tenant_id, agent_id, run_id) WHERE state = 'running';
-- For the sweep, which crosses tenants.
CREATE INDEX runs_by_deadline ON runs (deadline) WHERE deadline IS NOT NULL AND ended_at IS NULL;
-- Without the tenant, whose agent it is: with it, the planner of a database that has no statistics yet
-- takes this index for the primary key, and reads all runs of the tenant for each that it looks for.
CREATE INDEX runs_by_agent ON runs (agent_id, run_id);
CREATE INDEX runs_failed ON runs (tenant_id, failure_code, run_id) WHERE state = 'failed';
CREATE INDEX runs_by_parent ON runs (tenant_id, parent_run, run_id) WHERE parent_run IS NOT NULL;
CREATE INDEX runs_by_concurrency ON runs (tenant_id, concurrency_key, run_id)
    WHERE concurrency_key IS NOT NULL;
-- The one that has its turn, and those that wait for it: few, however many have ended.
CREATE INDEX runs_alive_by_concurrency ON runs (tenant_id, concurrency_key, run_id)
    WHERE concurrency_key IS NOT NULL AND ended_at IS NULL;

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

-- The queue: a row exactly while its run is queued, or asleep. Rows live for milliseconds, so dead
-- ones are cleaned by count and without a pause, not by share of the table.
CREATE TABLE run_ready (
    tenant_id uuid NOT NULL,
    run_id    uuid NOT NULL,
    agent_id  uuid NOT NULL,
    pool      text COLLATE "C" NOT NULL,
    -- the agent if it has a cap, else nil
    lane      uuid NOT NULL,
    -- the priority with the other sign, so that the first is the least
    rank      smallint NOT NULL,
    ready_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, run_id)
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0
);
CREATE INDEX run_ready_order ON run_ready (tenant_id, pool, lane, rank, ready_at, run_id);

-- Which run of a concurrency key may go on. Without a run: locked by somebody, had by nobody.
CREATE TABLE turns (
    tenant_id       uuid NOT NULL,
    concurrency_key text COLLATE "C" NOT NULL,
    run_id          uuid,
    PRIMARY KEY (tenant_id, concurrency_key)
);

-- When somebody last asked for the runs of a pool.
CREATE TABLE pools (
    tenant_id uuid NOT NULL,
    pool      text COLLATE "C" NOT NULL,
    polled_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, pool)
);

CREATE TABLE journal (
    tenant_id         uuid NOT NULL,
    run_id            uuid NOT NULL,
    seq               bigint NOT NULL,
    epoch             bigint NOT NULL,
    at                timestamptz NOT NULL,
    key               text NOT NULL,
    kind              text NOT NULL,
    status            text NOT NULL,
    -- JSON: what is opened, without the payload
    opening           text,
    content_type      text,
    encoding          text,
    payload           bytea,
    failure_code      text,
    failure_message   text,
    failure_retryable boolean,
    -- who steered, and why
    actor             text,
    reason            text,
    -- the bytes that count in a page
    size              bigint NOT NULL,
    input             bytea,
    attempt           bigint NOT NULL,
    duration_micros   bigint NOT NULL,
    model             text,
    input_tokens      bigint,
    output_tokens     bigint,
    cached_tokens     bigint,
    reasoning_tokens  bigint,
    cost_micros       bigint,
    tool_calls        bigint,
    PRIMARY KEY (tenant_id, run_id, seq)
);

CREATE TABLE inbox (
    tenant_id         uuid NOT NULL,
    run_id            uuid NOT NULL,
    number            bigint NOT NULL CHECK (number > 0),
    source            text COLLATE "C" NOT NULL,
    topic             text NOT NULL CHECK (topic IN ('signal', 'wait')),
    -- the signal's, or the key of what was waited for
    name              text NOT NULL,
    content_type      text,
    encoding          text,
    payload           bytea,
    failure_code      text,
    failure_message   text,
    failure_retryable boolean,
    -- JSON: what a called run has used, at its end
    usage             text,
    at                timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, run_id, number),
    UNIQUE (tenant_id, run_id, source),
    CHECK ((payload IS NULL) = (failure_code IS NOT NULL))
);

-- What runs ask people and systems. Found by people: by time, by run.
CREATE TABLE interrupts (
    tenant_id         uuid NOT NULL,
    interrupt_id      uuid NOT NULL,
    run_id            uuid NOT NULL,
    agent_id          uuid NOT NULL,
    key               text NOT NULL,
    kind              text NOT NULL CHECK (kind IN ('approval', 'input', 'choice')),
    title             text NOT NULL,
    content_type      text NOT NULL,
    encoding          text NOT NULL,
    payload           bytea NOT NULL,
    schema            text NOT NULL,
    decisions         jsonb NOT NULL,
    assignee          text COLLATE "C" NOT NULL,
    timeout_micros    bigint,
    default_decision  text,
    opened_at         timestamptz NOT NULL,
    due_at            timestamptz,
    state             text NOT NULL CHECK (state IN ('open', 'answered', 'timed_out', 'closed')),
    -- answered
    answer_decision   text,
    answer_type       text,
    answer_encoding   text,
    answer            bytea,
    answer_reason     text,
    answer_actor      text,
    ended_at          timestamptz,
    PRIMARY KEY (tenant_id, interrupt_id),
    CHECK ((state = 'open') = (ended_at IS NULL)),
    CHECK ((state = 'answered') = (answer_decision IS NOT NULL))
);
CREATE INDEX interrupts_open ON interrupts (tenant_id, opened_at, interrupt_id)
    WHERE state = 'open';
CREATE INDEX interrupts_by_time ON interrupts (tenant_id, opened_at, interrupt_id);
CREATE INDEX interrupts_by_run ON interrupts (tenant_id, run_id, opened_at, interrupt_id);
-- For the sweep, which crosses tenants.
CREATE INDEX interrupts_due ON interrupts (due_at) WHERE state = 'open' AND due_at IS NOT NULL;

-- What one run causes in another: a row from the change that causes it until that has happened.
-- Rows live as short as those of the queue, and dead ones are cleaned alike.
CREATE TABLE outbox (
    tenant_id         uuid NOT NULL,
    run_id            uuid NOT NULL,
    number            bigint NOT NULL CHECK (number > 0),
    kind              text NOT NULL CHECK (kind IN
                          ('call', 'ended', 'end_children', 'free_turn', 'take_turn')),
    content_type      text,
    encoding          text,
    payload           bytea,
    failure_code      text,
    failure_message   text,
    failure_retryable boolean,
    -- what is not payload or failure
    detail            jsonb NOT NULL,
    -- when somebody may take it, for the first time or again
    due_at            timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, run_id, number),
    CHECK (kind NOT IN ('call', 'ended') OR (payload IS NULL) = (failure_code IS NOT NULL))
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0
);
-- For those who take them, who cross tenants.
CREATE INDEX outbox_due ON outbox (due_at);

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

CREATE TRIGGER interrupts_immutable BEFORE UPDATE ON interrupts
FOR EACH ROW WHEN (OLD.state <> 'open')
EXECUTE FUNCTION tenure_refuse('an interrupt ends once');

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

CREATE FUNCTION tenure_keep_record() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM runs WHERE tenant_id = OLD.tenant_id AND run_id = OLD.run_id) THEN
        RAISE EXCEPTION 'DELETE of % is refused: its run still exists', TG_TABLE_NAME
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN OLD;
END
$$;

CREATE TRIGGER journal_kept BEFORE DELETE ON journal
FOR EACH ROW EXECUTE FUNCTION tenure_keep_record();

CREATE TRIGGER interrupts_kept BEFORE DELETE ON interrupts
FOR EACH ROW EXECUTE FUNCTION tenure_keep_record();
