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
    name TEXT PRIMARY KEY NOT NULL,
    body TEXT NOT NULL,
    version INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
);

-- What is rare is found among a million that wait.
CREATE INDEX tasks_kind ON tasks (kind, number);
CREATE INDEX tasks_collection ON tasks (collection, number) WHERE collection IS NOT NULL;

-- Of two indexes that cost the same by its reckoning SQLite takes the one made last: whether a parent has an open child
-- is asked at the end of each child, and shall not be looked for among all that have ended.
DROP INDEX tasks_open_children;
CREATE INDEX tasks_open_children ON tasks (parent_id) WHERE state IN ('pending', 'processing');
