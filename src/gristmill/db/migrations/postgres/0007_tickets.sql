-- What opens one connection in place of a key.
CREATE TABLE tickets (
    secret_hash TEXT PRIMARY KEY,
    key_id TEXT,
    expires_at BIGINT NOT NULL
);
CREATE INDEX tickets_expire ON tickets (expires_at);
