"""Messages of the Python client, and of Gristmill inside a program."""

from collections.abc import Mapping

from gristmill.messages.model import Message

__all__ = ["MESSAGES"]

MESSAGES: Mapping[str, Message] = {
    "embedded_not_started": Message(
        "Gristmill did not start within {seconds} seconds. Its log says why.",
        "Gristmill 未能在 {seconds} 秒内启动。原因请查看日志。",
    ),
    "service_answer_unreadable": Message(
        "The service answered with status {status} and something that is not its own. Check the address, and what stands "
        "between.",
        "服务返回状态 {status}，且内容并非来自 Gristmill。请检查地址以及中间的代理。",
    ),
    "service_unreachable": Message(
        "The service at {url} does not answer ({reason}). Check that it runs, with `gristmill status`, and its address.",
        "位于 {url} 的服务没有响应（{reason}）。请用 `gristmill status` 确认其正在运行，并检查地址。",
    ),
    "task_not_ended_yet": Message(
        "The task {task_id} has not ended after {seconds} seconds. It goes on; wait longer, or cancel it.",
        "任务 {task_id} 在 {seconds} 秒后仍未结束。它仍在继续；请继续等待，或将其取消。",
    ),
}
