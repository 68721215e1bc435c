-- Whether the children of a task that waits for them are cancelled, if they have not begun, as soon as one has failed.
ALTER TABLE tasks ADD COLUMN halts BOOLEAN NOT NULL DEFAULT FALSE;
