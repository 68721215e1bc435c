"""Messages about handing documents in, collections and API keys."""

from collections.abc import Mapping

from gristmill.messages.model import Message

__all__ = ["MESSAGES"]

MESSAGES: Mapping[str, Message] = {
    "collection_name_invalid": Message(
        en="{field} is {value}; a collection's name has 1 to 100 printable characters and no slash. Choose another.",
        zh="{field} 的值为 {value}；集合名须为 1 到 100 个可见字符，且不含斜杠。请换一个名称。",
    ),
    "document_changed": Message(
        en="Document {document_id} was indexed anew in the meantime. Nothing is lost: this attempt starts over.",
        zh="文档 {document_id} 在此期间已被重新索引。没有丢失任何内容：本次尝试将重新开始。",
    ),
    "embeddings_incomplete": Message(
        en="A document was indexed while the collection changed its embedder. The rest is being embedded now.",
        zh="集合更换嵌入模型期间又有文档被索引，正在补齐其余部分。",
    ),
    "key_invalid": Message(
        en="The API key is unknown or revoked. Check it, or make a new one: gristmill keys create NAME.",
        zh="API 密钥无效或已吊销。请检查，或新建一个：gristmill keys create 名称。",
    ),
    "key_missing": Message(
        en="An API key is needed. Send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'.",
        zh="需要 API 密钥。请以 'Authorization: Bearer 密钥' 或 'X-API-Key: 密钥' 发送。",
    ),
    "key_not_found": Message(
        en="There is no valid key {key_id}. List the keys with gristmill keys list.",
        zh="没有有效的密钥 {key_id}。请用 gristmill keys list 查看。",
    ),
    "list_empty": Message(
        en="{field} is empty. Name at least one.",
        zh="{field} 为空。请至少给出一项。",
    ),
    "scope_unknown": Message(
        en="scope is {value}; it must be one of {known}.",
        zh="scope 的值为 {value}，必须是 {known} 之一。",
    ),
    "source_missing": Message(
        en="{field} is missing. Give a URL, or a path under a configured root, or upload a file.",
        zh="缺少 {field}。请给出网址、允许目录下的路径，或上传文件。",
    ),
    "too_many_files": Message(
        en="{field} has {count} entries; one request may name {max_files}. Split it, or raise sources.max_files_per_request.",
        zh="{field} 有 {count} 项，一次请求最多 {max_files} 项。请分批提交，或提高 sources.max_files_per_request。",
    ),
}
