"""What is indexed: collections, documents, versions, chunks, and how they are searched. Imports no technology."""

__all__: list[str] = []
