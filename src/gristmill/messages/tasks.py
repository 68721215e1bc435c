"""Messages about tasks and their lifecycle."""

from collections.abc import Mapping

from gristmill.messages.model import Message

__all__ = ["MESSAGES"]

MESSAGES: Mapping[str, Message] = {
    "task_not_found": Message(
        en="There is no task {task_id}. Check the id, or list tasks with GET /api/tasks; ended tasks are kept for a while only.",
        zh="任务 {task_id} 不存在。请检查编号，或用 GET /api/tasks 查看任务列表；已结束的任务只保留一段时间。",
    ),
    "idempotency_key_reused": Message(
        en="Idempotency-Key {key} was used for a different request (task {task_id}). Use a new key for a new request.",
        zh="Idempotency-Key {key} 已用于另一个不同的请求（任务 {task_id}）。新请求请使用新的键。",
    ),
    "kind_unknown": Message(
        en="There is no task kind {kind}. Known kinds: {known}.",
        zh="没有名为 {kind} 的任务类型。可用类型：{known}。",
    ),
    "payload_field_unknown": Message(
        en="Task kind {kind} has no field {field}. Its fields: {known}.",
        zh="任务类型 {kind} 没有字段 {field}。可用字段：{known}。",
    ),
    "payload_field_missing": Message(
        en="Task kind {kind} needs the field {field}. Add it.",
        zh="任务类型 {kind} 缺少字段 {field}，请补上。",
    ),
    "payload_field_type": Message(
        en="Field {field} of task kind {kind} has the value {value}; it must be of type {expected}.",
        zh="任务类型 {kind} 的字段 {field} 的值为 {value}，其类型必须是 {expected}。",
    ),
    "payload_undecodable": Message(
        en="The stored payload of this {kind} task cannot be read. Submit the task again with a new payload.",
        zh="该 {kind} 任务已保存的参数无法读取。请用新的参数重新提交该任务。",
    ),
    "priority_out_of_range": Message(
        en="priority is {value}; it must be from 0 to 9 (9 is most urgent).",
        zh="priority 的值为 {value}，必须在 0 到 9 之间（9 最紧急）。",
    ),
    "task_parked": Message(
        en="The task took its worker down {crashes} times ({reason}) and was set aside. Look at its input, then retry it.",
        zh="该任务使工作进程崩溃了 {crashes} 次（{reason}），已被搁置。请检查其输入后再手动重试。",
    ),
    "soft_limit_exceeded": Message(
        en="The task ran longer than its limit of {seconds} s. Give it less to do, or raise the limit of its kind.",
        zh="任务运行超过了 {seconds} 秒的时限。请减少其工作量，或提高该类型的时限。",
    ),
    "hard_limit_exceeded": Message(
        en="The task did not stop at its hard limit of {seconds} s and was killed. Give it less to do, or raise the limit.",
        zh="任务到达 {seconds} 秒的硬时限仍未停止，已被终止。请减少其工作量，或提高时限。",
    ),
    "memory_exhausted": Message(
        en="The task needed more memory than its process may use. Raise workers.memory_limit_mb, or split the input.",
        zh="任务所需内存超过其进程允许的上限。请提高 workers.memory_limit_mb，或拆分输入。",
    ),
    "unexpected_error": Message(
        en="An unexpected error occurred: {error}. It is in the worker's log under the task's id; please report it.",
        zh="发生意外错误：{error}。详情见工作进程日志（按任务编号查找），请反馈该问题。",
    ),
    "task_not_ended": Message(
        en="Task {task_id} is {state}; only failed and cancelled tasks can be retried. Cancel it first, or wait.",
        zh="任务 {task_id} 的状态为 {state}；只有失败或已取消的任务可以重试。请先取消，或等待其结束。",
    ),
}
