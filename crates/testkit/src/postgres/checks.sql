-- What the columns of the hot tables may hold together. Not in the schema, where every write would pay
-- for it: added by tests, so that a rule that breaks it is found there.
ALTER TABLE runs
    ADD CHECK (state IN ('queued', 'running', 'waiting', 'succeeded', 'failed', 'cancelled')),
    ADD CHECK (wait_reason IN ('inbox', 'blocked', 'paused', 'turn')),
    ADD CHECK (request IN ('cancel', 'pause')),
    ADD CHECK ((parent_run IS NULL) = (parent_key IS NULL)),
    ADD CHECK ((parent_run IS NULL) = (detached IS NULL)),
    ADD CHECK (state <> 'queued' OR ready_at IS NOT NULL),
    ADD CHECK (ready_at IS NULL OR state = 'queued' OR wait_reason IS NOT DISTINCT FROM 'inbox'),
    ADD CHECK ((state = 'running') = (lease_id IS NOT NULL)),
    ADD CHECK ((state = 'waiting') = (wait_reason IS NOT NULL)),
    ADD CHECK ((wait_reason IS NOT DISTINCT FROM 'inbox') = (wait_on IS NOT NULL)),
    ADD CHECK ((state = 'succeeded') = (output IS NOT NULL)),
    ADD CHECK ((state = 'failed' OR wait_reason IS NOT DISTINCT FROM 'blocked')
        = (failure_code IS NOT NULL)),
    ADD CHECK ((state IN ('succeeded', 'failed', 'cancelled')) = (ended_at IS NOT NULL)),
    ADD CHECK (request IS NULL OR state = 'running'),
    ADD CHECK ((request IS NOT DISTINCT FROM 'cancel') = (cancel_force_at IS NOT NULL)),
    ADD CHECK ((request IS NOT NULL OR state = 'cancelled' OR wait_reason IS NOT DISTINCT FROM 'paused')
        = (steer_actor IS NOT NULL));

ALTER TABLE journal
    ADD CHECK (seq > 0),
    ADD CHECK (status IN ('opened', 'succeeded', 'failed', 'steered')),
    ADD CHECK ((status = 'opened') = (opening IS NOT NULL)),
    ADD CHECK ((status = 'failed') = (failure_code IS NOT NULL)),
    ADD CHECK ((status = 'steered') = (actor IS NOT NULL)),
    ADD CHECK (status <> 'succeeded' OR payload IS NOT NULL);
