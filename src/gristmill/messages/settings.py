"""Messages of the settings area."""

from collections.abc import Mapping

from gristmill.messages.model import Message

__all__ = ["MESSAGES"]

MESSAGES: Mapping[str, Message] = {
    "setting_is_section": Message(
        en="{field} is a section, not a value. Put its settings below it, as in [{section}].",
        zh="{field} 是一个配置节，不能直接赋值。请把具体配置写在它下面，例如 [{section}]。",
    ),
    "setting_not_a_choice": Message(
        en="{field} is '{value}', which is not a choice. Use one of: {choices}.",
        zh="{field} 的值“{value}”不在可选范围内。请使用其中之一：{choices}。",
    ),
    "setting_not_list": Message(
        en="{field} is '{value}', which is not a list. Separate the items with commas, or give a JSON list.",
        zh="{field} 的值“{value}”不是列表。请用逗号分隔各项，或使用 JSON 列表。",
    ),
    "setting_not_number": Message(
        en="{field} is '{value}', which is not a number. Give a number ({range}).",
        zh="{field} 的值“{value}”不是数字。请填写数字（{range}）。",
    ),
    "setting_not_text": Message(
        en="{field} is '{value}', which is not text. Give one piece of text, in quotes if it is in a file.",
        zh="{field} 的值“{value}”不是文本。请填写一段文本；在文件中请加引号。",
    ),
    "setting_not_whole_number": Message(
        en="{field} is '{value}', which is not a whole number. Give a whole number ({range}).",
        zh="{field} 的值“{value}”不是整数。请填写整数（{range}）。",
    ),
    "setting_out_of_range": Message(
        en="{field} is '{value}', which is out of range. Give a value that is {range}.",
        zh="{field} 的值“{value}”超出范围。请填写满足 {range} 的值。",
    ),
    "setting_overlap_too_large": Message(
        en=(
            "{chunk_overlap_field} is {chunk_overlap}, more than half of {chunk_size_field}, which is {chunk_size}. "
            "Lower the overlap or raise the size."
        ),
        zh=(
            "{chunk_overlap_field} 为 {chunk_overlap}，超过了 {chunk_size_field}（{chunk_size}）的一半。"
            "请减小重叠，或增大分块长度。"
        ),
    ),
    "setting_unknown": Message(
        en="{field} is not a setting. Remove it, or look its name up in docs/reference/settings.md.",
        zh="{field} 不是有效的配置项。请删除它，或在 docs/reference/settings.md 中查找正确的名称。",
    ),
    "setting_unknown_near": Message(
        en="{field} is not a setting. Did you mean {near}? All names are in docs/reference/settings.md.",
        zh="{field} 不是有效的配置项。您是否想写 {near}？全部名称见 docs/reference/settings.md。",
    ),
    "settings_file_invalid": Message(
        en="{file} is not valid TOML: {reason}. Correct that line.",
        zh="{file} 不是有效的 TOML 文件：{reason}。请修正该行。",
    ),
    "settings_file_missing": Message(
        en="The settings file {file} does not exist. Create it, or correct --config or GRISTMILL_CONFIG.",
        zh="配置文件 {file} 不存在。请创建它，或更正 --config 或 GRISTMILL_CONFIG。",
    ),
    "settings_file_unreadable": Message(
        en="{file} cannot be read ({reason}). Check its permissions, and that it is UTF-8 text.",
        zh="无法读取 {file}（{reason}）。请检查其权限，并确认它是 UTF-8 文本。",
    ),
    "setting_wrong_length": Message(
        "{field} is '{value}', which has not {count} values. Give {count}, with commas between them.",
        "{field} 的值为 '{value}'，不是 {count} 个值。请给出 {count} 个值，以逗号分隔。",
    ),
}
