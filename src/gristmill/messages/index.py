"""Messages of the index area."""

from collections.abc import Mapping

from gristmill.messages.model import Message

__all__ = ["MESSAGES"]

MESSAGES: Mapping[str, Message] = {
    "blob_not_found": Message(
        "The uploaded file {blob_id} is not there any more. Upload it again.",
        "上传的文件 {blob_id} 已不存在。请重新上传。",
    ),
    "blob_store_unusable": Message(
        "Uploaded files cannot be stored ({reason}). Check the data directory and its permissions.",
        "无法保存上传的文件（{reason}）。请检查数据目录及其权限。",
    ),
    "chunk_overlap_out_of_range": Message(
        "{field} is {value}; choose 0 to {maximum}, half of chunk_size ({chunk_size}).",
        "{field} 的值为 {value}；请取 0 到 {maximum}，即 chunk_size（{chunk_size}）的一半以内。",
    ),
    "chunk_size_out_of_range": Message(
        "{field} is {value}; choose {minimum} to {maximum} characters.",
        "{field} 的值为 {value}；请取 {minimum} 到 {maximum} 个字符。",
    ),
    "collection_not_found": Message(
        "There is no collection {collection}. Register a document in it first, or choose one from the list "
        "of collections.",
        "没有名为 {collection} 的集合。请先在其中登记文档，或从集合列表中选择。",
    ),
    "document_not_found": Message(
        "There is no document {document_id}; it may have been deleted. Take an id from the list of documents.",
        "没有编号为 {document_id} 的文档，可能已被删除。请从文档列表中选取编号。",
    ),
    "document_not_indexed": Message(
        "Document {document_id} has nothing indexed any more. Index it again.",
        "文档 {document_id} 已没有索引内容。请重新建立索引。",
    ),
    "embedder_needs_avx2": Message(
        "The embedder {name} needs a processor with AVX2, which this one lacks. Choose the embedder multilingual.",
        "嵌入模型 {name} 需要支持 AVX2 的处理器，而本机不支持。请改用 multilingual。",
    ),
    "embedder_not_installed": Message(
        "The embedder {value} is not installed. Run: pip install 'gristmill[{extra}]', or choose another one.",
        "嵌入模型 {value} 尚未安装。请运行：pip install 'gristmill[{extra}]'，或改用其他模型。",
    ),
    "embedder_setting_missing": Message(
        "The embedder http needs {field}. Set it in the section embedding, or choose another embedder.",
        "嵌入模型 http 缺少 {field}。请在 embedding 配置中填写，或改用其他模型。",
    ),
    "embedder_unknown": Message(
        "There is no embedder {value}. Choose one of: {known}.",
        "没有名为 {value} 的嵌入模型。可选：{known}。",
    ),
    "embedder_url_invalid": Message(
        "{field} is not an http or https address. Give one such as http://localhost:8080/v1.",
        "{field} 不是 http 或 https 地址。请填写类似 http://localhost:8080/v1 的地址。",
    ),
    "embedding_answer_unreadable": Message(
        "{host} answered with something that is not a list of embeddings. Check the base URL: it usually ends in /v1.",
        "{host} 返回的内容不是嵌入向量。请检查服务地址：通常以 /v1 结尾。",
    ),
    "embedding_dimension_differs": Message(
        "The model {model} gave vectors of length {got} instead of {expected}. "
        "Correct the dimension in the settings, or index again with the new model.",
        "模型 {model} 返回的向量长度为 {got}，应为 {expected}。请修正配置中的维度，或用新模型重新建立索引。",
    ),
    "embedding_service_busy": Message(
        "The embeddings service {host} answered {status}. It is tried again later; if it lasts, check the service.",
        "嵌入服务 {host} 返回了 {status}。稍后会自动重试；如持续出现，请检查该服务。",
    ),
    "embedding_service_refused": Message(
        "The embeddings service {host} refused with {status}: {detail}. Check the key, the model and the base URL.",
        "嵌入服务 {host} 拒绝了请求（{status}）：{detail}。请检查密钥、模型和服务地址。",
    ),
    "embedding_service_unreachable": Message(
        "The embeddings service {host} does not answer ({reason}). It is tried again later; check that it runs.",
        "嵌入服务 {host} 没有响应（{reason}）。稍后会自动重试；请确认该服务正在运行。",
    ),
    "embedding_vanished": Message(
        "{count} chunks of document {document_id} were to reuse embeddings that are gone by now. Index the "
        "document again.",
        "文档 {document_id} 有 {count} 个片段本要复用的嵌入向量已不存在。请重新为该文档建立索引。",
    ),
    "embedding_without_direction": Message(
        "The model {model} gave a vector of zeros or without finite length. Check the model, or choose another one.",
        "模型 {model} 返回了零向量或非有限的向量。请检查该模型，或改用其他模型。",
    ),
    "file_too_large": Message(
        "The file is larger than {limit_bytes} bytes. Split it, or raise the upload limit in the settings.",
        "文件超过 {limit_bytes} 字节。请拆分文件，或在配置中提高上传限制。",
    ),
    "page_out_of_range": Message(
        "{field} is {value}; choose {minimum} to {maximum}.",
        "{field} 的值为 {value}；请取 {minimum} 到 {maximum}。",
    ),
    "query_empty": Message(
        "{field} is empty. Write at least one word to search for.",
        "{field} 为空。请至少输入一个要搜索的词。",
    ),
    "query_too_long": Message(
        "{field} has {actual} characters; at most {maximum} are allowed. Shorten it to the words that matter.",
        "{field} 有 {actual} 个字符，最多允许 {maximum} 个。请只保留关键的词语。",
    ),
    "space_replaced": Message(
        "The collection has switched to another embedding model in the meantime. Try again.",
        "该集合已切换到另一个嵌入模型。请重试。",
    ),
    "vector_not_finite": Message(
        "{field} contains a number that is not finite. Check the embedding model.",
        "{field} 含有非有限的数值。请检查嵌入模型。",
    ),
    "vector_unusable": Message(
        "{field} has {actual} numbers instead of {expected}. Check that the configured embedding model is "
        "the one the collection was built with.",
        "{field} 的长度为 {actual}，应为 {expected}。请确认配置的嵌入模型与建立该集合时相同。",
    ),
    "version_vanished": Message(
        "Version {version_id} is no longer being built: it was published, replaced or cleaned up. Index the "
        "document again.",
        "版本 {version_id} 已不在构建中：它已发布、被替换或被清理。请重新为该文档建立索引。",
    ),
}
