-- What a document's source was like when an older version took over: that content is not indexed again.
ALTER TABLE documents ADD COLUMN held_version_id INTEGER;

-- Which version of which document a collection showed at some moment, and with what settings.
CREATE TABLE snapshots (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    collection_id INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    is_automatic BOOLEAN NOT NULL,
    space_id INTEGER NOT NULL,
    chunk_size INTEGER NOT NULL,
    chunk_overlap INTEGER NOT NULL,
    document_count INTEGER NOT NULL,
    chunk_count INTEGER NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE INDEX snapshots_collection ON snapshots (collection_id, id);

CREATE TABLE snapshot_documents (
    snapshot_id INTEGER NOT NULL REFERENCES snapshots (id) ON DELETE CASCADE,
    document_id INTEGER NOT NULL REFERENCES documents (id),
    version_id INTEGER REFERENCES versions (id),
    name TEXT NOT NULL,
    blob_id TEXT,
    size INTEGER,
    mtime_ns INTEGER,
    PRIMARY KEY (snapshot_id, document_id)
) WITHOUT ROWID;
CREATE INDEX snapshot_documents_document ON snapshot_documents (document_id);
CREATE INDEX snapshot_documents_version ON snapshot_documents (version_id) WHERE version_id IS NOT NULL;
CREATE INDEX snapshot_documents_blob ON snapshot_documents (blob_id) WHERE blob_id IS NOT NULL;
