-- Whether a task stays with the engine it was given when tasks are moved to another.
ALTER TABLE tasks ADD COLUMN pinned BOOLEAN NOT NULL DEFAULT FALSE;
