-- What opens one connection in place of a key.
CREATE TABLE tickets (
    secret_hash TEXT PRIMARY KEY NOT NULL,
    key_id TEXT,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX tickets_expire ON tickets (expires_at);
