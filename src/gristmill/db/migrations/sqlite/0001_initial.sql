CREATE TABLE tasks (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    queue TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'processing', 'completed', 'failed', 'cancelled')),
    priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 9),
    due BOOLEAN NOT NULL,
    payload TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    max_attempts INTEGER NOT NULL,
    crash_count INTEGER NOT NULL,
    lease INTEGER NOT NULL,
    soft_limit_seconds REAL NOT NULL,
    hard_limit_seconds REAL NOT NULL,
    stage TEXT NOT NULL,
    unit TEXT NOT NULL,
    done INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    skipped INTEGER NOT NULL,
    total INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    ready_at INTEGER NOT NULL,
    scheduled_at INTEGER,
    started_at INTEGER,
    finished_at INTEGER,
    cancel_requested BOOLEAN NOT NULL,
    waiting BOOLEAN NOT NULL,
    worker_id TEXT,
    slot INTEGER,
    engine TEXT,
    dispatched_at INTEGER,
    parent_id TEXT,
    collection TEXT,
    user_id INTEGER,
    idempotency_key TEXT UNIQUE,
    request_hash TEXT,
    result TEXT,
    item_count INTEGER NOT NULL,
    items_expire_at INTEGER,
    checkpoint TEXT,
    error TEXT,
    CONSTRAINT final_has_an_end
        CHECK ((state IN ('completed', 'failed', 'cancelled')) = (finished_at IS NOT NULL)),
    CONSTRAINT only_processing_is_held
        CHECK (worker_id IS NULL OR state = 'processing'),
    CONSTRAINT processing_is_held_or_waits
        CHECK (state != 'processing' OR (worker_id IS NULL) = waiting),
    CONSTRAINT numbers_are_numbers
        CHECK (typeof(soft_limit_seconds) = 'real' AND typeof(hard_limit_seconds) = 'real'
               AND typeof(attempt) = 'integer' AND typeof(max_attempts) = 'integer'
               AND typeof(crash_count) = 'integer' AND typeof(lease) = 'integer'),
    CONSTRAINT failed_says_why
        CHECK (state != 'failed' OR error IS NOT NULL)
);
CREATE INDEX tasks_ready ON tasks (queue, priority DESC, number) WHERE state = 'pending' AND due;
CREATE INDEX tasks_ready_age ON tasks (queue, ready_at, number) WHERE state = 'pending' AND due;
CREATE INDEX tasks_scheduled ON tasks (scheduled_at) WHERE state = 'pending' AND NOT due;
CREATE INDEX tasks_undispatched ON tasks (priority DESC, number)
    WHERE state = 'pending' AND due AND dispatched_at IS NULL;
CREATE INDEX tasks_held ON tasks (worker_id) WHERE worker_id IS NOT NULL;
CREATE INDEX tasks_open_children ON tasks (parent_id) WHERE state IN ('pending', 'processing');
CREATE INDEX tasks_children ON tasks (parent_id, number) WHERE parent_id IS NOT NULL;
CREATE INDEX tasks_state ON tasks (state, number);
CREATE INDEX tasks_finished ON tasks (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX tasks_items_expire ON tasks (items_expire_at) WHERE items_expire_at IS NOT NULL;

CREATE TABLE task_events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    name TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    lease INTEGER NOT NULL,
    worker_id TEXT,
    detail TEXT NOT NULL
);
CREATE INDEX task_events_task ON task_events (task_id, seq);

CREATE TABLE task_items (
    task_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (task_id, position)
) WITHOUT ROWID;

CREATE TABLE workers (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    engine TEXT NOT NULL,
    queues TEXT NOT NULL,
    slots INTEGER NOT NULL,
    pid INTEGER NOT NULL,
    host TEXT NOT NULL,
    beat INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    beat_at INTEGER NOT NULL
);

CREATE TABLE leaders (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until INTEGER NOT NULL
);

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    secret_hash TEXT NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER,
    revoked_at INTEGER
);

CREATE TABLE collections (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    chunk_size INTEGER NOT NULL,
    chunk_overlap INTEGER NOT NULL,
    active_space_id INTEGER,
    generation INTEGER NOT NULL,
    -- Deletions up to this generation may have left no trace: a cache that is older starts over.
    forgotten INTEGER NOT NULL,
    document_count INTEGER NOT NULL,
    chunk_count INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    deleted_at INTEGER
);
CREATE UNIQUE INDEX collections_name ON collections (name) WHERE deleted_at IS NULL;

CREATE TABLE spaces (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    collection_id INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    embedder TEXT NOT NULL,
    model_id TEXT NOT NULL,
    dimension INTEGER NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE INDEX spaces_collection ON spaces (collection_id);

CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    collection_id INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    source TEXT NOT NULL,
    origin TEXT NOT NULL CHECK (origin IN ('upload', 'path', 'url')),
    name TEXT NOT NULL,
    material TEXT NOT NULL CHECK (material IN ('text', 'image', 'code')),
    state TEXT NOT NULL CHECK (state IN ('registered', 'indexed', 'failed')),
    root TEXT,
    blob_id TEXT,
    declared_type TEXT,
    media_type TEXT,
    size INTEGER,
    mtime_ns INTEGER,
    current_version_id INTEGER,
    generation INTEGER NOT NULL,
    error TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    indexed_at INTEGER,
    deleted_at INTEGER,
    CONSTRAINT indexed_has_a_version CHECK (state != 'indexed' OR current_version_id IS NOT NULL)
);
CREATE UNIQUE INDEX documents_source ON documents (collection_id, source) WHERE deleted_at IS NULL;
CREATE INDEX documents_generation ON documents (collection_id, generation);
CREATE INDEX documents_deleted ON documents (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX documents_blob ON documents (blob_id) WHERE blob_id IS NOT NULL;
CREATE INDEX documents_current_version ON documents (current_version_id) WHERE current_version_id IS NOT NULL;

CREATE TABLE versions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    document_id INTEGER NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    space_id INTEGER NOT NULL,
    replaces INTEGER,
    task_id TEXT NOT NULL,
    number INTEGER,
    content_hash TEXT NOT NULL,
    settings_hash TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size INTEGER,
    mtime_ns INTEGER,
    title TEXT,
    metadata TEXT NOT NULL,
    notices TEXT NOT NULL,
    chunk_count INTEGER NOT NULL,
    embedded INTEGER NOT NULL,
    reused INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    published_at INTEGER,
    CONSTRAINT published_has_a_number CHECK ((number IS NULL) = (published_at IS NULL))
);
CREATE UNIQUE INDEX versions_number ON versions (document_id, number);
CREATE INDEX versions_abandoned ON versions (created_at) WHERE published_at IS NULL;

CREATE TABLE chunks (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    document_id INTEGER NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    content_hash TEXT NOT NULL,
    headings TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE UNIQUE INDEX chunks_content ON chunks (content_hash, document_id);
CREATE INDEX chunks_document ON chunks (document_id);

CREATE TABLE version_chunks (
    version_id INTEGER NOT NULL REFERENCES versions (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    chunk_no INTEGER NOT NULL REFERENCES chunks (no),
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    page INTEGER,
    part TEXT,
    PRIMARY KEY (version_id, position)
) WITHOUT ROWID;
CREATE INDEX version_chunks_chunk ON version_chunks (chunk_no);

CREATE TABLE embeddings (
    id INTEGER PRIMARY KEY,
    chunk_no INTEGER NOT NULL REFERENCES chunks (no) ON DELETE CASCADE,
    space_id INTEGER NOT NULL,
    vector BLOB NOT NULL
);
CREATE UNIQUE INDEX embeddings_chunk ON embeddings (chunk_no, space_id);
CREATE INDEX embeddings_space ON embeddings (space_id, chunk_no);

CREATE VIRTUAL TABLE chunk_words USING fts5 (
    scope, words, content = '', contentless_delete = 1, tokenize = "unicode61 remove_diacritics 0"
);
CREATE VIRTUAL TABLE chunk_vocabulary USING fts5vocab ('chunk_words', 'row');

CREATE VIEW index_tasks AS
SELECT
    number AS id,
    id AS task_id,
    CASE kind WHEN 'batch_index' THEN 'batch' WHEN 'index_document' THEN 'index'
              WHEN 'delete_index' THEN 'delete' ELSE kind END AS task_type,
    state AS status,
    priority,
    CASE WHEN state = 'completed' THEN 100
         WHEN coalesce(total, 0) = 0 THEN 0
         ELSE min(100, (done + failed + skipped) * 100 / total) END AS progress,
    strftime('%Y-%m-%dT%H:%M:%fZ', created_at / 1000000.0, 'unixepoch') AS created_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', started_at / 1000000.0, 'unixepoch') AS started_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', updated_at / 1000000.0, 'unixepoch') AS updated_at,
    CASE state WHEN 'pending' THEN CASE WHEN attempt > 0 THEN 'RETRY' ELSE 'PENDING' END
               WHEN 'processing' THEN CASE WHEN total IS NULL THEN 'STARTED' ELSE 'PROGRESS' END
               WHEN 'completed' THEN 'SUCCESS' WHEN 'failed' THEN 'FAILURE' ELSE 'REVOKED' END AS celery_state,
    json_object(
        'progress', CASE WHEN state = 'completed' THEN 100
                         WHEN coalesce(total, 0) = 0 THEN 0
                         ELSE min(100, (done + failed + skipped) * 100 / total) END,
        'current', done + failed + skipped,
        'total', total,
        'status', stage
    ) AS celery_result,
    strftime('%Y-%m-%dT%H:%M:%fZ', finished_at / 1000000.0, 'unixepoch') AS completed_at,
    error
FROM tasks;

CREATE VIEW v_active_index_tasks AS
SELECT * FROM index_tasks WHERE status IN ('pending', 'processing');
