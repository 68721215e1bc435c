"""Messages about the RQ engine."""

from collections.abc import Mapping

from gristmill.messages.model import Message

__all__ = ["MESSAGES"]

MESSAGES: Mapping[str, Message] = {
    "rq_called_directly": Message(
        en='{name} is not to be called, but enqueued: queue.enqueue("gristmill.rq.{name}", ...). Or submit a task by the API.',
        zh='{name} 不能直接调用，请加入队列：queue.enqueue("gristmill.rq.{name}", ...)，或通过 API 提交任务。',
    ),
    "rq_worker_not_ours": Message(
        en="{name} was taken by a worker that does not know where Gristmill keeps its data. The task is not lost: it is run "
        "by: gristmill worker --engine rq. Or set GRISTMILL_DATA for this worker, and it waits for the task.",
        zh="{name} 被一个不知道 Gristmill 数据位置的工作进程取走。任务没有丢失，将由 gristmill worker --engine rq 执行。"
        "也可为该工作进程设置 GRISTMILL_DATA，让它等待任务结束。",
    ),
}
