"""Messages of versions and snapshots."""

from collections.abc import Mapping

from gristmill.messages.model import Message

__all__ = ["MESSAGES"]

MESSAGES: Mapping[str, Message] = {
    "cli_no_snapshots": Message(
        "There is no snapshot of {collection}. Take one with: gristmill versions snapshot {collection} NAME",
        "{collection} 没有快照。请运行：gristmill versions snapshot {collection} 名称",
    ),
    "cli_no_versions": Message(
        "Nothing of document {document_id} is indexed. Index it first.",
        "文档 {document_id} 尚无索引内容。请先建立索引。",
    ),
    "cli_restored": Message(
        "{collection} shows what it showed in snapshot {snapshot_id}: {changed} changed, {returned} came back, "
        "{removed} removed. Undo it with: gristmill versions restore {collection} {before}",
        "{collection} 已恢复到快照 {snapshot_id}：{changed} 个变更，{returned} 个恢复，{removed} 个移除。"
        "撤销请运行：gristmill versions restore {collection} {before}",
    ),
    "document_rolled_back": Message(
        "Version {number} of document {document_id} answers searches now",
        "文档 {document_id} 现在以版本 {number} 提供检索",
    ),
    "snapshot_forgotten": Message(
        "Forgot snapshot {snapshot_id} of {collection}",
        "已删除 {collection} 的快照 {snapshot_id}",
    ),
    "snapshot_name_invalid": Message(
        "{field} is “{value}”. Use 1 to 200 printable characters.",
        "{field} 的值为“{value}”。请使用 1 到 200 个可打印字符。",
    ),
    "snapshot_not_found": Message(
        "The collection {collection} has no snapshot {snapshot_id}. Take an id from the list of its snapshots.",
        "集合 {collection} 没有快照 {snapshot_id}。请从其快照列表中选取编号。",
    ),
    "snapshot_restored": Message(
        "{collection} shows what it showed in snapshot {snapshot_id}",
        "{collection} 已恢复到快照 {snapshot_id}",
    ),
    "snapshot_taken": Message(
        "Took snapshot {snapshot_id} of {collection}",
        "已为 {collection} 创建快照 {snapshot_id}",
    ),
    "version_not_embedded": Message(
        "{count} chunks of version {number} of document {document_id} have no embeddings of the present embedder. "
        "Index the document with force, or give the collection its earlier embedder.",
        "文档 {document_id} 的版本 {number} 有 {count} 个分块缺少当前嵌入模型的向量。请强制重新索引，或换回之前的嵌入模型。",
    ),
    "version_not_found": Message(
        "Document {document_id} has no version {number}, or it is not kept any more. Take a number from the list of its "
        "versions.",
        "文档 {document_id} 没有版本 {number}，或该版本已不再保留。请从版本列表中选取编号。",
    ),
}
