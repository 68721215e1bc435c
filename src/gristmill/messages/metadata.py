"""Messages of metadata."""

from collections.abc import Mapping

from gristmill.messages.model import Message

__all__ = ["MESSAGES"]

MESSAGES: Mapping[str, Message] = {
    "chunk_incomplete": Message(
        "{field} has {known}; it needs chunk_id, a number or text, and chunk_text, a text. Add what is missing.",
        "{field} 含有 {known}；还需要 chunk_id（数字或文本）和 chunk_text（文本）。请补全。",
    ),
    "chunk_text_empty": Message(
        "{field} of the chunk {chunk_id} is empty. Leave the chunk out, or give its text.",
        "分块 {chunk_id} 的 {field} 为空。请去掉该分块，或提供其文本。",
    ),
}
