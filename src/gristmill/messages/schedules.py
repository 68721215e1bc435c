"""Messages about schedules, their rules and what they submit."""

from collections.abc import Mapping

from gristmill.messages.model import Message

__all__ = ["MESSAGES"]

MESSAGES: Mapping[str, Message] = {
    "cli_ask_schedule_remove": Message(
        en="Remove the schedule {name}? The tasks that it submitted stay.",
        zh="删除计划 {name}？它已提交的任务会保留。",
    ),
    "cli_no_schedules": Message(
        en="There are no schedules yet. Make one: gristmill schedule add NAME --every 1d --index PATH.",
        zh="还没有计划。请新建：gristmill schedule add 名称 --every 1d --index 路径。",
    ),
    "cli_no_scheduler": Message(
        en="No worker is running, so nobody but a gristmill scheduler looks at schedules. Start one: gristmill up.",
        zh="没有正在运行的工作进程，因此只有 gristmill scheduler 会查看计划。请启动：gristmill up。",
    ),
    "cli_schedule_added": Message(
        en="Made the schedule {name}; its next tick is {next}.", zh="已新建计划 {name}；下次触发时间为 {next}。"
    ),
    "cron_field_invalid": Message(
        en="{field} is “{value}”; its part {place}, the {part}, cannot be read: “{text}”. The parts are minute, hour, day of "
        "month, month and day of week, as in 0 3 * * mon-fri.",
        zh="{field} 的值为“{value}”；第 {place} 部分（{part}）“{text}”无法识别。"
        "各部分依次为分、时、日、月、星期，例如 0 3 * * mon-fri。",
    ),
    "cron_fields_not_five": Message(
        en="{field} is “{value}”, which has {count} parts. Give five: minute, hour, day of month, month and day of week, as in "
        "0 3 * * *; or @hourly, @daily, @weekly, @monthly, @yearly.",
        zh="{field} 的值“{value}”有 {count} 个部分。请给出五个：分、时、日、月、星期，例如 0 3 * * *；"
        "或使用 @hourly、@daily、@weekly、@monthly、@yearly。",
    ),
    "cron_never": Message(
        en="{field} is “{value}”, a date that never comes. Name a day that the month has.",
        zh="{field} 的值“{value}”是永远不会到来的日期。请指定该月份存在的日期。",
    ),
    "interval_invalid": Message(
        en="{field} is “{value}”, which is no interval. Give seconds, or a number with a unit, as 90s, 15m, 2h or 1d; at "
        "least 1 s and at most 10 years.",
        zh="{field} 的值“{value}”不是有效的间隔。请给出秒数，或带单位的数字，例如 90s、15m、2h、1d；至少 1 秒，至多 10 年。",
    ),
    "prune_of_all": Message(
        en="The folder “{name}” holds no file any more, but {count} documents come from it. Nothing was removed: make sure that "
        "it is mounted, or delete the documents yourself.",
        zh="文件夹“{name}”中已没有任何文件，但有 {count} 个文档来自它。未删除任何内容：请确认该文件夹已挂载，或自行删除这些文档。",
    ),
    "schedule_created": Message(en="Made the schedule {name}", zh="已新建计划 {name}"),
    "schedule_changed": Message(en="Changed the schedule {name}", zh="已修改计划 {name}"),
    "schedule_deleted": Message(en="Removed the schedule {name}", zh="已删除计划 {name}"),
    "schedule_exists": Message(
        en="There is a schedule called {name} already. Choose another name, or change or remove that one.",
        zh="已有名为 {name} 的计划。请换一个名称，或修改、删除原有计划。",
    ),
    "schedule_name_invalid": Message(
        en="{field} is “{value}”. Use 1 to 100 printable characters without a slash.",
        zh="{field} 的值为“{value}”。请使用 1 到 100 个可打印字符，且不含斜杠。",
    ),
    "schedule_not_found": Message(
        en="There is no schedule {schedule}. List them with gristmill schedule list, or GET /api/schedules.",
        zh="计划 {schedule} 不存在。请用 gristmill schedule list 或 GET /api/schedules 查看。",
    ),
    "schedule_path_refused": Message(
        en="{field} is not yours to set. Name the path in source alone; it must lie under a configured root.",
        zh="不能自行设置 {field}。请只在 source 中给出路径；该路径必须位于允许的目录内。",
    ),
    "schedule_paused": Message(en="Paused the schedule {name}", zh="已暂停计划 {name}"),
    "schedule_resumed": Message(en="The schedule {name} ticks again", zh="计划 {name} 已恢复"),
    "schedule_rule_not_one": Message(
        en="A schedule needs exactly one rule: give cron, as 0 3 * * *, or every, as 15m.",
        zh="计划需要且只需要一条规则：请给出 cron（例如 0 3 * * *）或 every（例如 15m）。",
    ),
    "timezone_unknown": Message(
        en="{field} is “{value}”, which is no time zone. Use a name of the IANA database, as {near}.",
        zh="{field} 的值“{value}”不是有效的时区。请使用 IANA 数据库中的名称，例如 {near}。",
    ),
    "timezone_without_cron": Message(
        en="{field} is “{value}”, but an interval looks at no clock. Leave it out, or give a cron rule.",
        zh="{field} 的值为“{value}”，但间隔规则不参照任何时区。请不要设置，或改用 cron 规则。",
    ),
}
