"""Messages to people who use Gristmill the way they use Celery."""

from collections.abc import Mapping

from gristmill.messages.model import Message

__all__ = ["MESSAGES"]

MESSAGES: Mapping[str, Message] = {
    "celery_argument_twice": Message(
        en="The argument {field} of task kind {kind} is given by position and by name. Give it once.",
        zh="任务类型 {kind} 的参数 {field} 同时以位置和名称给出。请只给出一次。",
    ),
    "celery_arguments_too_many": Message(
        en="Task kind {kind} was called with {count} arguments; it takes at most: {known}.",
        zh="调用任务类型 {kind} 时给出了 {count} 个参数；最多接受：{known}。",
    ),
    "celery_option_invalid": Message(
        en="The option {option} has the value {value!r}, which makes no sense. Correct or omit it.",
        zh="选项 {option} 的值 {value!r} 无效。请更正或去掉它。",
    ),
    "celery_option_unsupported": Message(
        en="The option {option} is not supported. Leave it out; to do something after a task, wait for its result, or "
        "submit one batch.",
        zh="不支持选项 {option}。请去掉它；若要在任务之后执行操作，请等待其结果，或提交一个批量任务。",
    ),
    "celery_runs_in_worker": Message(
        en="{task} runs in a worker, not in this process. Submit it with {task}.delay(...), and wait with .get(timeout=...).",
        zh="{task} 在工作进程中运行，不在当前进程中运行。请用 {task}.delay(...) 提交，并用 .get(timeout=...) 等待。",
    ),
    "celery_task_id_invalid": Message(
        en="task_id is {value!r}; it must be 1 to 200 letters, digits or _ . : @ - characters.",
        zh="task_id 为 {value!r}；它必须由 1 到 200 个字母、数字或 _ . : @ - 组成。",
    ),
    "celery_task_unknown": Message(
        en="There is no task {task}. Use one of: {known}.",
        zh="没有名为 {task} 的任务。可用的有：{known}。",
    ),
    "cli_flower_running": Message(
        en="Flower is at {url}. User and password are {origin}.",
        zh="Flower 地址：{url}。用户名和密码{origin}。",
    ),
    "cli_flower_auth_given": Message(en="those of flower.basic_auth", zh="为 flower.basic_auth 的设置"),
    "cli_flower_auth_kept": Message(en="in {file}", zh="保存在 {file}"),
    "cli_flower_auth_made": Message(
        en="{user} and {password}; they are kept in {file}, and not shown again",
        zh="为 {user} 和 {password}；已保存在 {file}，不再显示",
    ),
    "flower_auth_invalid": Message(
        en="{field} must be user:password, in ASCII; several with commas between them.",
        zh="{field} 必须为 ASCII 形式的“用户名:密码”；多个之间用逗号分隔。",
    ),
}
