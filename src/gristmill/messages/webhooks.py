"""Messages about webhooks, and about what was posted to them."""

from collections.abc import Mapping

from gristmill.messages.model import Message

__all__ = ["MESSAGES"]

MESSAGES: Mapping[str, Message] = {
    "cli_ask_webhook_remove": Message(
        en="Remove the webhook of {url}, with the log of its deliveries? What is still to be posted is not.",
        zh="删除 {url} 的 webhook 及其推送记录？尚未发送的推送将不再发送。",
    ),
    "cli_no_deliveries": Message(
        en="The webhook {webhook_id} has no such deliveries. It is told of tasks that end after it was made; try it: "
        "gristmill webhooks ping {webhook_id}.",
        zh="webhook {webhook_id} 没有符合条件的推送记录。它只会收到创建之后结束的任务；可以试一下："
        "gristmill webhooks ping {webhook_id}。",
    ),
    "cli_no_poster": Message(
        en="No worker is running, so nobody but an API or a gristmill scheduler posts. Start one: gristmill up.",
        zh="没有正在运行的工作进程，因此只有 API 或 gristmill scheduler 会推送。请启动：gristmill up。",
    ),
    "cli_no_webhooks": Message(
        en="There are no webhooks yet. Make one: gristmill webhooks add URL.",
        zh="还没有 webhook。请新建：gristmill webhooks add 网址。",
    ),
    "delivery_not_found": Message(
        en="This webhook has no delivery {delivery_id}. List them with gristmill webhooks deliveries ID, or "
        "GET /api/webhooks/ID/deliveries; they are kept for webhooks.keep_days.",
        zh="该 webhook 没有推送记录 {delivery_id}。请用 gristmill webhooks deliveries ID 或 "
        "GET /api/webhooks/ID/deliveries 查看；记录保留 webhooks.keep_days 天。",
    ),
    "delivery_pending": Message(
        en="The delivery {delivery_id} is still to be posted. Replay it once it was delivered or has failed.",
        zh="推送 {delivery_id} 仍在等待发送。请在其送达或失败后再重放。",
    ),
    "delivery_replayed": Message(en="The delivery {delivery_id} is posted again", zh="将再次推送 {delivery_id}"),
    "receiver_gone": Message(
        en="{host} answered with 410 Gone, so the webhook was switched off. Switch it on again once the receiver is back.",
        zh="{host} 返回 410 Gone，因此已停用该 webhook。接收方恢复后请重新启用。",
    ),
    "receiver_not_public": Message(
        en="The host {host} is not on the public network. Use a public address, or let the operator add the host to "
        "GRISTMILL_WEBHOOKS__ALLOWED_HOSTS.",
        zh="主机 {host} 不在公共网络上。请使用公共地址，或由管理员把该主机加入 GRISTMILL_WEBHOOKS__ALLOWED_HOSTS。",
    ),
    "receiver_refused": Message(
        en="{host} answered with status {status}. It has to answer with 2xx; redirects are not followed.",
        zh="{host} 返回状态 {status}。接收方必须返回 2xx；不会跟随重定向。",
    ),
    "receiver_too_slow": Message(
        en="The receiver did not answer within {seconds} seconds. Let it answer first and work afterwards, or raise "
        "webhooks.timeout_seconds.",
        zh="接收方未在 {seconds} 秒内响应。请让其先响应、后处理，或调大 webhooks.timeout_seconds。",
    ),
    "receiver_unreachable": Message(
        en="{host} could not be reached, or did not answer in time ({reason}). Check that the receiver is up.",
        zh="无法访问 {host}，或其未及时响应（{reason}）。请确认接收方正在运行。",
    ),
    "webhook_changed": Message(en="Changed the webhook {webhook_id}", zh="已更改 webhook {webhook_id}"),
    "webhook_created": Message(
        en="Created the webhook {webhook_id}. Keep its secret, which is not shown again",
        zh="已创建 webhook {webhook_id}。请妥善保存其密钥，以后不再显示",
    ),
    "webhook_deleted": Message(en="Deleted the webhook {webhook_id}", zh="已删除 webhook {webhook_id}"),
    "webhook_not_found": Message(
        en="There is no webhook {webhook_id}. List them with gristmill webhooks list, or GET /api/webhooks.",
        zh="webhook {webhook_id} 不存在。请用 gristmill webhooks list 或 GET /api/webhooks 查看列表。",
    ),
    "webhook_pinged": Message(en="The receiver took it", zh="接收方已收到"),
    "webhook_pings_full": Message(
        en="Too many requests wait for an answer from elsewhere. Try again in a moment.",
        zh="等待外部响应的请求过多。请稍后再试。",
    ),
    "webhook_unanswered": Message(en="It did not arrive: {reason}", zh="未送达：{reason}"),
}
