-- Each task belongs to one engine from the moment it is accepted; workers claim the tasks of theirs.
UPDATE tasks SET engine = 'local' WHERE engine IS NULL;
DROP INDEX tasks_undispatched;
DROP INDEX tasks_ready;
DROP INDEX tasks_ready_age;
ALTER TABLE tasks DROP COLUMN dispatched_at;
CREATE INDEX tasks_ready ON tasks (engine, queue, priority DESC, number) WHERE state = 'pending' AND due;
CREATE INDEX tasks_ready_age ON tasks (engine, queue, ready_at, number) WHERE state = 'pending' AND due;

-- What is changed while the service runs and every process follows, by name.
CREATE TABLE controls (
    name TEXT PRIMARY KEY,
    body TEXT NOT NULL,
    version BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);

-- What is rare is found among a million that wait.
CREATE INDEX tasks_kind ON tasks (kind, number);
CREATE INDEX tasks_collection ON tasks (collection, number) WHERE collection IS NOT NULL;
