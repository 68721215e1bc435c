"""What requests and answers look like. Pydantic models that check and describe; they do nothing."""

__all__: list[str] = []
