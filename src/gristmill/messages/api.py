"""Messages of the HTTP API: what is wrong with a request, and what became of a right one."""

from collections.abc import Mapping

from gristmill.messages.model import Message

__all__ = ["MESSAGES"]

_REFUSALS: Mapping[str, Message] = {
    "body_not_json": Message(
        en="The body is not valid JSON ({reason}). Send one JSON object in UTF-8.",
        zh="请求体不是有效的 JSON（{reason}）。请以 UTF-8 发送一个 JSON 对象。",
    ),
    "body_too_large": Message(
        en="The request is larger than {limit_bytes} bytes. Send it in several parts.",
        zh="请求超过 {limit_bytes} 字节。请分多次发送。",
    ),
    "body_unreadable": Message(
        en="The body cannot be read ({reason}). Check that it is complete and matches its Content-Type.",
        zh="无法读取请求体（{reason}）。请确认内容完整且与 Content-Type 一致。",
    ),
    "content_type_unsupported": Message(
        en="Content-Type is '{value}'. Send {expected}.",
        zh="Content-Type 为“{value}”。请使用 {expected}。",
    ),
    "cursor_ahead": Message(
        en="{field} is {value}, but the events end at {latest}. It comes from another installation, or from before a backup was restored: begin without one.",
        zh="{field} 的值 {value} 超过了最新事件 {latest}。它可能来自另一个安装，或早于一次备份恢复：请不带游标重新开始。",
    ),
    "cursor_invalid": Message(
        en="{field} is '{value}', which is no cursor. Pass one as you were given it, or leave it out.",
        zh="{field} 的值“{value}”不是有效的游标。请原样传入之前收到的游标，或不传。",
    ),
    "field_invalid": Message(
        en="{field} is {value}: {reason}. Correct it.",
        zh="{field} 的值 {value} 无效：{reason}。请修正。",
    ),
    "field_missing": Message(
        en="{field} is missing. Add it.",
        zh="缺少 {field}，请补上。",
    ),
    "field_not_a_choice": Message(
        en="{field} is {value}, which is not a choice. Use one of: {choices}.",
        zh="{field} 的值 {value} 不在可选范围内。请使用其中之一：{choices}。",
    ),
    "field_not_a_time": Message(
        en="{field} is {value}, which is not a time. Use RFC 3339 with a time zone, such as 2026-05-04T12:00:00Z.",
        zh="{field} 的值 {value} 不是有效时间。请使用带时区的 RFC 3339 格式，例如 2026-05-04T12:00:00Z。",
    ),
    "field_not_boolean": Message(
        en="{field} is {value}, which is neither true nor false. Use true or false.",
        zh="{field} 的值 {value} 既不是真也不是假。请使用 true 或 false。",
    ),
    "field_not_list": Message(
        en="{field} is {value}, which is not a list. Use a list, even for one item.",
        zh="{field} 的值 {value} 不是列表。即使只有一项也请使用列表。",
    ),
    "field_not_number": Message(
        en="{field} is {value}, which is not a number. Use a finite number.",
        zh="{field} 的值 {value} 不是数字。请使用有限的数字。",
    ),
    "field_not_object": Message(
        en="{field} is {value}, which is not an object. Use a JSON object.",
        zh="{field} 的值 {value} 不是对象。请使用 JSON 对象。",
    ),
    "field_not_text": Message(
        en="{field} is {value}, which is not text. Use a string.",
        zh="{field} 的值 {value} 不是文本。请使用字符串。",
    ),
    "field_not_whole_number": Message(
        en="{field} is {value}, which is not a whole number. Use digits alone.",
        zh="{field} 的值 {value} 不是整数。请只使用数字。",
    ),
    "field_out_of_range": Message(
        en="{field} is {value}; it must be {range}.",
        zh="{field} 的值为 {value}，必须 {range}。",
    ),
    "field_too_long": Message(
        en="{field} is too long: at most {maximum} are allowed. Shorten it.",
        zh="{field} 过长：最多允许 {maximum}。请缩短。",
    ),
    "field_too_short": Message(
        en="{field} is too short: at least {minimum} needed. Add to it.",
        zh="{field} 过短：至少需要 {minimum}。请补充。",
    ),
    "field_unknown": Message(
        en="There is no field {field} here. Use one of: {known}.",
        zh="此处没有字段 {field}。可用字段：{known}。",
    ),
    "file_missing": Message(
        en="The request has no file. Send at least one part with a file name as multipart/form-data.",
        zh="请求中没有文件。请以 multipart/form-data 发送至少一个带文件名的部分。",
    ),
    "filter_empty": Message(
        en='The filter is empty, which would mean every task. Add a field, or say so with "all": true.',
        zh='过滤条件为空，这将作用于所有任务。请添加条件，或明确写上 "all": true。',
    ),
    "host_not_allowed": Message(
        en="This service is not called {host}. Use its loopback address, or add the name to api.allowed_hosts.",
        zh="本服务不叫 {host}。请使用本机回环地址，或将该名称加入 api.allowed_hosts。",
    ),
    "idempotency_key_invalid": Message(
        en="{field} must be 1 to 200 printable ASCII characters. Use, for example, a UUID.",
        zh="{field} 必须是 1 到 200 个可打印的 ASCII 字符，例如一个 UUID。",
    ),
    "internal_error": Message(
        en="Something went wrong on our side. It is in the log under {log_id}; please report it.",
        zh="服务内部发生错误。详情见日志编号 {log_id}，请反馈该问题。",
    ),
    "method_not_allowed": Message(
        en="{method} is not possible here. Use: {allowed}.",
        zh="此处不支持 {method}。请使用：{allowed}。",
    ),
    "not_a_file": Message(
        en="{field} was sent as text, not as a file. Send it as a part with a file name.",
        zh="{field} 是以文本而非文件发送的。请作为带文件名的部分发送。",
    ),
    "number_too_large": Message(
        en="The body holds a number beyond 64 bits. Use a smaller one.",
        zh="请求体中有超过 64 位的数字。请使用更小的数字。",
    ),
    "origin_not_allowed": Message(
        en="A page of another site may not do this. Call the service from your own program, or add the site to "
        "api.allowed_hosts.",
        zh="其他站点的页面不能执行此操作。请从自己的程序中调用，或将该站点加入 api.allowed_hosts。",
    ),
    "payload_path_refused": Message(
        en="A task that reads a file cannot be submitted this way. Use POST /documents/async/process.",
        zh="读取文件的任务不能以这种方式提交。请使用 POST /documents/async/process。",
    ),
    "request_refused": Message(
        en="The request was refused with status {http_status}. Check it against /docs.",
        zh="请求被拒绝（状态 {http_status}）。请对照 /docs 检查。",
    ),
    "route_unknown": Message(
        en="There is nothing at {path}. The list of addresses is at /docs.",
        zh="{path} 处没有内容。可用地址见 /docs。",
    ),
    "scope_missing": Message(
        en="This needs a key with the scope {needed}; yours has {scope}. Make one with: gristmill keys create.",
        zh="此操作需要 {needed} 权限的密钥，当前密钥的权限为 {scope}。可运行 gristmill keys create 新建。",
    ),
    "server_stopping": Message(
        en="The server stops. Come back with the cursor once it is there again.",
        zh="服务器正在停止。待其恢复后，请带游标重新连接。",
    ),
    "task_was_cancelled": Message(
        en="Task {task_id} was cancelled before it was done. Retry it with POST /api/tasks/{task_id}/retry.",
        zh="任务 {task_id} 在完成前被取消。可用 POST /api/tasks/{task_id}/retry 重试。",
    ),
    "ticket_invalid": Message(
        en="The ticket was used before, is older than {seconds} seconds, or never was one. Get another with POST /api/tickets.",
        zh="票据已使用过、已超过 {seconds} 秒，或从未签发。请通过 POST /api/tickets 获取新票据。",
    ),
    "text_not_unicode": Message(
        en="The body holds text that is no valid Unicode (a lone surrogate). Send whole characters.",
        zh="请求体中有无效的 Unicode 文本（孤立的代理项）。请发送完整的字符。",
    ),
    "watcher_too_slow": Message(
        en="Messages are not read as fast as they come. Come back with the cursor, and follow fewer tasks or read faster.",
        zh="消息的读取速度跟不上产生速度。请带游标重新连接，并减少关注的任务或加快读取。",
    ),
    "watchers_full": Message(
        en="{limit} connections follow tasks already. Try again later, or raise api.max_watchers.",
        zh="已有 {limit} 个连接在关注任务。请稍后再试，或调大 api.max_watchers。",
    ),
    "watchers_not_ready": Message(
        en="The database does not say where the events end. Try again; if it lasts, run `gristmill doctor`.",
        zh="数据库未能给出事件的末尾位置。请重试；若持续出现，请运行 `gristmill doctor`。",
    ),
}

_ANSWERS: Mapping[str, Message] = {
    "ok": Message(en="OK", zh="成功"),
    "collection_created": Message(en="Created the collection {name}", zh="已创建集合 {name}"),
    "collection_deleted": Message(en="Deleted the collection {name}", zh="已删除集合 {name}"),
    "collection_unchanged": Message(en="The collection {name} is as asked", zh="集合 {name} 已符合要求"),
    "collection_reembedding": Message(
        en="Queued the change of {name} to the embedder {embedder}", zh="已排队将 {name} 切换到嵌入模型 {embedder}"
    ),
    "document_deleted": Message(en="Deleted document {document_id}", zh="已删除文档 {document_id}"),
    "documents_indexed": Message(en="Indexed: {ok} ok, {failed} failed", zh="已索引：成功 {ok}，失败 {failed}"),
    "documents_queued": Message(en="Queued {count} documents", zh="已排队 {count} 个文档"),
    "documents_registered": Message(
        en="Registered {count} documents, {failed} failed", zh="已登记 {count} 个文档，失败 {failed} 个"
    ),
    "hits_found": Message(en="Found {count} hits", zh="找到 {count} 条结果"),
    "process_queued": Message(en="Queued {name} for processing", zh="已排队处理 {name}"),
    "result_expired": Message(
        en="The documents of this result were kept for a while only and are gone. Process the source again.",
        zh="该结果的文档只保留一段时间，现已清除。请重新处理。",
    ),
    "task_cancel_requested": Message(en="Asked task {task_id} to stop", zh="已请求停止任务 {task_id}"),
    "task_retried": Message(en="Queued task {task_id} again", zh="已重新排队任务 {task_id}"),
    "task_submitted": Message(en="Queued task {task_id}", zh="已排队任务 {task_id}"),
    "tasks_changed": Message(en="Changed {count} tasks", zh="已更改 {count} 个任务"),
    "no_worker": Message(
        en="No worker is alive. Start one with: gristmill worker.",
        zh="没有存活的工作进程。请运行 gristmill worker 启动。",
    ),
    "status_pending": Message(en="Waiting for a worker", zh="等待工作进程"),
    "status_retry": Message(en="Waiting to be tried again", zh="等待重试"),
    "status_started": Message(en="Started", zh="已开始"),
    "status_progress": Message(en="Processing {current}/{total}", zh="处理中 {current}/{total}"),
    "status_success": Message(en="Completed", zh="已完成"),
    "status_failure": Message(en="Failed", zh="失败"),
    "status_revoked": Message(en="Cancelled", zh="已取消"),
}

MESSAGES: Mapping[str, Message] = {**_REFUSALS, **_ANSWERS}
