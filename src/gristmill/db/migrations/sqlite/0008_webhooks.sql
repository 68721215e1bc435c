-- Addresses that are told of the ends of tasks. What opens a door, an address or a key, is sealed.
CREATE TABLE webhooks (
    id TEXT PRIMARY KEY NOT NULL,
    address TEXT NOT NULL,
    url TEXT NOT NULL,
    secret TEXT NOT NULL,
    wants TEXT NOT NULL,
    active BOOLEAN NOT NULL,
    -- Up to which of the task_events its deliveries were made.
    seq INTEGER NOT NULL,
    -- Before this moment nothing is posted: something is being posted, or the last post failed.
    free_at INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;

-- What was, or is to be, posted to whom. The id follows from the event, so that a delivery made again is the same one.
CREATE TABLE webhook_deliveries (
    id TEXT PRIMARY KEY NOT NULL,
    webhook_id TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    task_id TEXT NOT NULL,
    event TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    tries INTEGER NOT NULL,
    next_try_at INTEGER NOT NULL,
    error TEXT,
    created_at INTEGER NOT NULL,
    ended_at INTEGER,
    CHECK ((ended_at IS NOT NULL) = (state <> 'pending'))
);
CREATE UNIQUE INDEX webhook_deliveries_event ON webhook_deliveries (webhook_id, seq);
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (webhook_id, seq) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_age ON webhook_deliveries (next_try_at);
