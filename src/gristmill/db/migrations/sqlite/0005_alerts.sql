-- Which version each worker runs, so that skew between processes can be named.
ALTER TABLE workers ADD COLUMN version TEXT NOT NULL DEFAULT '';

-- Running totals of the history, which outlive it: how many tasks did what, and how long that took.
CREATE TABLE task_totals (
    kind TEXT NOT NULL,
    engine TEXT NOT NULL,
    measure TEXT NOT NULL,
    -- Upper end of a bucket of times, in microseconds; 0 where nothing is timed.
    bound INTEGER NOT NULL,
    count INTEGER NOT NULL,
    microseconds INTEGER NOT NULL,
    PRIMARY KEY (kind, engine, measure, bound)
) WITHOUT ROWID;

CREATE TABLE duty_totals (
    duty TEXT PRIMARY KEY NOT NULL,
    count INTEGER NOT NULL
) WITHOUT ROWID;

-- How far each reader of task_events has come.
CREATE TABLE event_cursors (
    reader TEXT PRIMARY KEY NOT NULL,
    seq INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE alerts (
    id TEXT PRIMARY KEY NOT NULL,
    rule TEXT NOT NULL,
    subject TEXT NOT NULL,
    severity TEXT NOT NULL CHECK (severity IN ('warning', 'critical')),
    facts TEXT NOT NULL,
    fired_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    resolved_at INTEGER
);
-- One and the same condition fires once, whoever notices it.
CREATE UNIQUE INDEX alerts_firing ON alerts (rule, subject) WHERE resolved_at IS NULL;
CREATE INDEX alerts_fired ON alerts (fired_at);

-- What somebody still has to be told of.
CREATE TABLE alert_notices (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    alert_id TEXT NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    event TEXT NOT NULL CHECK (event IN ('fired', 'resolved')),
    tries INTEGER NOT NULL,
    next_try_at INTEGER NOT NULL
);
CREATE INDEX alert_notices_alert ON alert_notices (alert_id, number);
