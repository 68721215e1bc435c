"""Messages about what is watched: alerts, queues, the broker, versions."""

from collections.abc import Mapping

from gristmill.messages.model import Message

__all__ = ["MESSAGES"]

MESSAGES: Mapping[str, Message] = {
    "alert_error_rate": Message(
        en="{percent} % of the tasks that ended of late failed ({failed} of {ended}), more than {most} %. "
        "Look why: gristmill tasks list --state failed.",
        zh="最近结束的任务中有 {percent}% 失败（{ended} 个中的 {failed} 个），超过 {most}%。"
        "请查看原因：gristmill tasks list --state failed。",
    ),
    "alert_memory_high": Message(
        en="{percent} % of the memory of {host} is in use, more than {most} %. "
        "Lower workers.concurrency or workers.memory_limit_mb, or add memory.",
        zh="{host} 的内存已使用 {percent}%，超过 {most}%。请调低 workers.concurrency 或 workers.memory_limit_mb，或增加内存。",
    ),
    "alert_no_worker": Message(
        en="No worker is alive; {waiting} tasks wait. Start one: gristmill up, or gristmill worker.",
        zh="没有存活的工作进程；有 {waiting} 个任务在等待。请启动：gristmill up 或 gristmill worker。",
    ),
    "alert_queue_long": Message(
        en="{length} tasks wait in the queue {queue}, more than {most}. "
        "Start more workers for it: gristmill worker --queues {queue}.",
        zh="队列 {queue} 中有 {length} 个任务在等待，超过 {most} 个。请为其启动更多工作进程：gristmill worker --queues {queue}。",
    ),
    "alert_task_slow": Message(
        en="Task {task_id} ({kind}) has been running for {seconds} s, longer than {most} s. "
        "Look at it: gristmill tasks show {task_id}; or stop it: gristmill tasks cancel {task_id}.",
        zh="任务 {task_id}（{kind}）已运行 {seconds} 秒，超过 {most} 秒。"
        "可查看：gristmill tasks show {task_id}；或停止：gristmill tasks cancel {task_id}。",
    ),
    "cli_alerts_none": Message(en="No alert is firing.", zh="当前没有告警。"),
    "cli_purge_confirm": Message(
        en="Cancel {count} tasks that wait in the queue {queue}?", zh="要取消队列 {queue} 中等待的 {count} 个任务吗？"
    ),
    "cli_purge_needs_yes": Message(
        en="Purging {queue} cancels {count} tasks. Nobody can be asked here: add --yes if that is meant.",
        zh="清空 {queue} 会取消 {count} 个任务。此处无法询问：如确认，请加上 --yes。",
    ),
    "cli_purge_left": Message(en="Nothing was cancelled.", zh="未取消任何任务。"),
    "doctor_broker_auth": Message(
        en="the broker at {host} refuses us: {reason}", zh="{host} 上的消息代理拒绝访问：{reason}"
    ),
    "doctor_broker_auth_remedy": Message(
        en="NOAUTH means that it wants a password: set GRISTMILL_REDIS__PASSWORD, or put it into GRISTMILL_REDIS__URL. "
        "WRONGPASS means that the one we have is wrong, NOPERM that its user may do too little.",
        zh="NOAUTH 表示需要密码：请设置 GRISTMILL_REDIS__PASSWORD，或写入 GRISTMILL_REDIS__URL。"
        "WRONGPASS 表示现有密码错误，NOPERM 表示该用户权限不足。",
    ),
    "doctor_broker_evicts": Message(
        en="the broker at {host} throws keys away when its {maxmemory_mb} MB are full (maxmemory-policy {policy})",
        zh="{host} 上的消息代理在 {maxmemory_mb} MB 内存用满后会丢弃键（maxmemory-policy 为 {policy}）",
    ),
    "doctor_broker_evicts_remedy": Message(
        en="Set maxmemory-policy noeviction there. Until then messages may vanish; the tasks run all the same, up to a "
        "second later.",
        zh="请在该服务器上设置 maxmemory-policy noeviction。在此之前消息可能丢失；任务仍会执行，最多晚一秒。",
    ),
    "doctor_broker_full": Message(en="the broker at {host} is out of memory", zh="{host} 上的消息代理内存已满"),
    "doctor_broker_full_remedy": Message(
        en="Raise maxmemory there, or remove what else it holds.", zh="请调高该服务器的 maxmemory，或清理其他数据。"
    ),
    "doctor_broker_silent": Message(
        en="the broker at {host} does not answer ({reason})", zh="{host} 上的消息代理没有响应（{reason}）"
    ),
    "doctor_broker_silent_remedy": Message(
        en="Start it, or correct GRISTMILL_REDIS__URL (or REDIS_HOST and REDIS_PORT). Tasks are accepted meanwhile, "
        "and run as local ones if engine.fallback is on.",
        zh="请启动它，或修正 GRISTMILL_REDIS__URL（或 REDIS_HOST 与 REDIS_PORT）。"
        "其间仍可提交任务；若 engine.fallback 已开启，则以本地方式执行。",
    ),
    "doctor_broker_works": Message(
        en="{host} answers ({milliseconds} ms), version {version}",
        zh="{host} 有响应（{milliseconds} 毫秒），版本 {version}",
    ),
    "doctor_engine_deaf": Message(
        en="{count} tasks wait for workers of the engine {engine}, of which none is alive",
        zh="有 {count} 个任务在等待引擎 {engine} 的工作进程，但没有存活的",
    ),
    "doctor_engine_deaf_remedy": Message(
        en="Start one: gristmill worker --engine {engine}; or give the tasks to another engine: gristmill engine use local.",
        zh="请启动：gristmill worker --engine {engine}；或把任务交给其他引擎：gristmill engine use local。",
    ),
    "doctor_engines_heard": Message(
        en="no task waits for an engine or a queue that nobody works on", zh="没有任务在无人处理的引擎或队列中等待"
    ),
    "doctor_queue_stranded": Message(
        en="{count} tasks wait in the queue {queue} on the engine {engine}, which no worker listens to",
        zh="引擎 {engine} 的队列 {queue} 中有 {count} 个任务在等待，但没有工作进程监听",
    ),
    "doctor_queue_stranded_remedy": Message(
        en="Start a worker for it: gristmill worker --engine {engine} --queues {queue}; or cancel them: "
        "gristmill inspect purge {queue}.",
        zh="请为其启动工作进程：gristmill worker --engine {engine} --queues {queue}；"
        "或取消这些任务：gristmill inspect purge {queue}。",
    ),
    "doctor_versions_differ": Message(
        en="this is version {ours}, but some workers run another: {others}",
        zh="当前版本为 {ours}，但有工作进程运行其他版本：{others}",
    ),
    "doctor_versions_remedy": Message(
        en="Start them anew from this installation: gristmill down, then gristmill up. A kind that a worker does not "
        "know waits for one that does.",
        zh="请用当前安装重新启动它们：先 gristmill down，再 gristmill up。工作进程不认识的任务类型会等待认识它的进程。",
    ),
    "doctor_versions_same": Message(en="all workers run {ours}", zh="所有工作进程均为 {ours}"),
    "otel_missing": Message(
        en="tracing.otlp_url is set, but the libraries for it are not installed. Install gristmill[otel], or unset it.",
        zh="已设置 tracing.otlp_url，但未安装所需的库。请安装 gristmill[otel]，或取消该设置。",
    ),
    "queue_purged": Message(
        en="Cancelled {count} tasks of the queue {queue}", zh="已取消队列 {queue} 中的 {count} 个任务"
    ),
    "queue_unknown": Message(
        en="There is no queue {queue}. Queues: {known}.", zh="没有名为 {queue} 的队列。可用队列：{known}。"
    ),
    "secret_key_invalid": Message(
        en="{field} is no Fernet key: 32 bytes, written in base64 for URLs. Make one with: "
        "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'.",
        zh="{field} 不是 Fernet 密钥：应为 32 字节的 URL 安全 base64。可用以下命令生成："
        "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'。",
    ),
    "secret_unreadable": Message(
        en="The field {field} was encrypted with a key that is not here. Put the key into old_secret_keys, or bring "
        "back secret.key of the data directory, and retry the task.",
        zh="字段 {field} 是用另一个密钥加密的，此处没有该密钥。请将其加入 old_secret_keys，或恢复数据目录中的 secret.key，再重试任务。",
    ),
    "webhook_refused": Message(
        en="The webhook at {host} answered with status {status}. It is tried again.",
        zh="{host} 上的 webhook 返回状态 {status}。稍后会重试。",
    ),
    "webhook_unreachable": Message(
        en="The webhook at {host} could not be reached ({reason}). It is tried again.",
        zh="无法访问 {host} 上的 webhook（{reason}）。稍后会重试。",
    ),
    "webhook_url_invalid": Message(
        en="{field} is no URL that can be posted to. Give one with http or https, a host, and no user or password in it.",
        zh="{field} 不是可用于推送的网址。请使用 http 或 https，包含主机名，且不含用户名或密码。",
    ),
}
