-- Whether a task stays with the engine it was given when tasks are moved to another.
ALTER TABLE tasks ADD COLUMN pinned BOOLEAN NOT NULL DEFAULT FALSE;
-- By which images are known again: thumbnails that no version needs are found to be such.
CREATE INDEX versions_content ON versions (content_hash);
