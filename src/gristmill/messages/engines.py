"""Messages about the database, engines and workers."""

from collections.abc import Mapping

from gristmill.messages.model import Message

__all__ = ["MESSAGES"]

MESSAGES: Mapping[str, Message] = {
    "database_busy": Message(
        en="The database is busy: another process holds it. Try again in a moment.",
        zh="数据库正忙：另一个进程正占用它。请稍后重试。",
    ),
    "database_unusable": Message(
        en="The database cannot be used ({reason}). Check the disk and the permissions of the data directory.",
        zh="数据库无法使用（{reason}）。请检查磁盘以及数据目录的权限。",
    ),
    "database_too_new": Message(
        en="The database was written by a newer Gristmill (migration {migration}). Upgrade this installation.",
        zh="数据库由更新版本的 Gristmill 写入（迁移 {migration}）。请升级本安装。",
    ),
    "database_url_unknown": Message(
        en="database.url begins with {scheme}, which is not supported. Use sqlite:///path/to/file.db or "
        "postgresql://user:password@host/name, or leave it unset.",
        zh="database.url 以 {scheme} 开头，暂不支持。请使用 sqlite:///文件路径 或 postgresql://用户:密码@主机/库名，或不设置。",
    ),
    "database_unreachable": Message(
        en="The database server does not answer. Check that it runs and that database.url is right; nothing accepted is "
        "lost.",
        zh="数据库服务器没有响应。请检查它是否在运行、database.url 是否正确；已接受的任务不会丢失。",
    ),
    "database_in_use": Message(
        en="{workers} workers are running on this database. Stop everything first: gristmill down",
        zh="有 {workers} 个工作进程正在使用该数据库。请先全部停止：gristmill down",
    ),
    "database_not_empty": Message(
        en="The database to copy into is not empty: its table {table} has rows. Name an empty one.",
        zh="目标数据库不是空的：表 {table} 中已有数据。请指定一个空数据库。",
    ),
    "database_refused": Message(
        en="The database server refused the connection: {reason}. Check user, password and name in database.url.",
        zh="数据库服务器拒绝了连接：{reason}。请检查 database.url 中的用户、密码和库名。",
    ),
    "disk_full": Message(
        en="The disk is full. Free some space in the data directory; nothing accepted was lost.",
        zh="磁盘已满。请在数据目录所在磁盘上腾出空间；已接受的任务没有丢失。",
    ),
    "extra_missing": Message(
        en="{feature} needs an extra that is not installed. Run: pip install 'gristmill[{extra}]'",
        zh="{feature} 需要尚未安装的可选组件。请运行：pip install 'gristmill[{extra}]'",
    ),
    "sqlite_unsafe": Message(
        en="SQLite {version} can corrupt its file when several processes write. Install SQLite {needed} or newer: "
        "pip install 'pysqlite3>=0.6.1'.",
        zh="SQLite {version} 在多个进程写入时可能损坏文件。请安装 {needed} 或更新版本：pip install 'pysqlite3>=0.6.1'。",
    ),
}
