-- What happened since a moment is asked often, and history is long.
CREATE INDEX tasks_created ON tasks (created_at, state);
