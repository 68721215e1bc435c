-- Recurring rules that submit a task: a cron expression on the clock of a time zone, or an interval.
CREATE TABLE schedules (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    cron TEXT,
    timezone TEXT,
    every_seconds INTEGER,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 9),
    collection TEXT,
    misfire TEXT NOT NULL CHECK (misfire IN ('once', 'all', 'skip')),
    overlap TEXT NOT NULL CHECK (overlap IN ('skip', 'allow')),
    paused BOOLEAN NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    -- The earliest tick that nothing has come of yet; whoever moves it on submits its task.
    next_tick_at INTEGER NOT NULL,
    last_tick_at INTEGER,
    last_run_at INTEGER,
    last_task_id TEXT,
    fired INTEGER NOT NULL,
    skipped INTEGER NOT NULL,
    missed INTEGER NOT NULL,
    error TEXT,
    revision INTEGER NOT NULL,
    CHECK ((cron IS NULL) = (timezone IS NULL)),
    CHECK ((cron IS NULL) = (every_seconds IS NOT NULL))
) WITHOUT ROWID;
CREATE UNIQUE INDEX schedules_name ON schedules (name);
CREATE INDEX schedules_due ON schedules (next_tick_at);
