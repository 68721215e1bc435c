-- A page of a collection's documents, and how many there are, without a walk through those of all others.
CREATE INDEX documents_collection ON documents (collection_id, id) WHERE deleted_at IS NULL;
