"""Messages about the database, engines and workers."""

from collections.abc import Mapping

from gristmill.messages.model import Message

__all__ = ["MESSAGES"]

MESSAGES: Mapping[str, Message] = {
    "broker_auth_failed": Message(
        en="Redis refused the password ({reason}). Set redis.password, or put it into redis.url.",
        zh="Redis 拒绝了密码（{reason}）。请设置 redis.password，或将密码写入 redis.url。",
    ),
    "broker_full": Message(
        en="Redis has no memory left for messages ({reason}). Raise its maxmemory; nothing accepted is lost.",
        zh="Redis 内存不足，无法接收消息（{reason}）。请调高 maxmemory；已接受的任务不会丢失。",
    ),
    "broker_unreachable": Message(
        en="Redis does not answer ({reason}). Check that it runs and that redis.url is right; nothing accepted is lost.",
        zh="Redis 没有响应（{reason}）。请检查它是否在运行、redis.url 是否正确；已接受的任务不会丢失。",
    ),
    "canary_needs_two": Message(
        en="A canary compares a new engine with an old one. Name another engine than {engine}, which has every task already.",
        zh="灰度发布需要比较新旧两个引擎。{engine} 已承担全部任务，请指定另一个引擎。",
    ),
    "canary_steps": Message(
        en="The steps of a canary are {value}; they must rise from above 0 to at most 1, as 0.05, 0.25, 1.",
        zh="灰度步骤为 {value}；各步必须从大于 0 递增到不超过 1，例如 0.05、0.25、1。",
    ),
    "control_changed": Message(
        en="Somebody else has changed {name} in the meantime. Look at it again, then repeat your change.",
        zh="{name} 刚被他人修改。请重新查看后再次修改。",
    ),
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
    "database_crowded": Message(
        en="The database server takes no more connections ({reason}). Raise max_connections there, or lower "
        "database.connections and the number of slots here.",
        zh="数据库服务器不再接受连接（{reason}）。请在服务器上调高 max_connections，或在此调低 database.connections 和槽位数。",
    ),
    "database_forbids": Message(
        en="The user in database.url may not do what is needed: {reason}. Make it the owner of the database, and let an "
        "administrator run CREATE EXTENSION vector there once.",
        zh="database.url 中的用户缺少所需的权限：{reason}。请将其设为该数据库的所有者，并由管理员在库中执行一次 CREATE EXTENSION vector。",
    ),
    "database_read_only": Message(
        en="The database server only allows reading: it may be a standby, or about to become the primary. Try again in a "
        "moment; if that does not help, let database.url name the primary.",
        zh="数据库服务器目前只允许读取：它可能是备库，或正在切换为主库。请稍后重试；若仍无效，请让 database.url 指向主库。",
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
        en="The disk is full. Free some space on the disk of the data directory, or of the database server if you use "
        "one; nothing accepted was lost.",
        zh="磁盘已满。请在数据目录（若使用数据库服务器，则为该服务器）所在磁盘上腾出空间；已接受的任务没有丢失。",
    ),
    "engine_change_not_one": Message(
        en="Give exactly one of name, ratio and canary.",
        zh="请在 name、ratio 和 canary 中给出且只给出一个。",
    ),
    "engine_needs_redis": Message(
        en="Engine {engine} needs Redis. Set redis.url, for example GRISTMILL_REDIS__URL=redis://localhost:6379/0.",
        zh="引擎 {engine} 需要 Redis。请设置 redis.url，例如 GRISTMILL_REDIS__URL=redis://localhost:6379/0。",
    ),
    "engine_unknown": Message(
        en="There is no engine {value}. Use one of: {known}.",
        zh="没有名为 {value} 的引擎。可用的有：{known}。",
    ),
    "extra_missing": Message(
        en="{feature} needs an extra that is not installed. Run: pip install 'gristmill[{extra}]'",
        zh="{feature} 需要尚未安装的可选组件。请运行：pip install 'gristmill[{extra}]'",
    ),
    "pgvector_missing": Message(
        en="The database server has no pgvector, which Gristmill keeps vectors with. Install it there, 0.8 or newer: on "
        "Debian and Ubuntu the package postgresql-NN-pgvector (NN is the version of the server) from apt.postgresql.org.",
        zh="数据库服务器缺少 Gristmill 存放向量所需的 pgvector 扩展。请在服务器上安装 0.8 或更新版本："
        "Debian 和 Ubuntu 可从 apt.postgresql.org 安装 postgresql-NN-pgvector（NN 为服务器版本）。",
    ),
    "pgvector_too_old": Message(
        en="pgvector on the database server is {version}; {needed} or newer is needed. Install a newer package there, then "
        "run ALTER EXTENSION vector UPDATE in the database.",
        zh="数据库服务器上的 pgvector 版本为 {version}，需要 {needed} 或更新版本。请安装更新的软件包，再在库中执行 ALTER EXTENSION vector UPDATE。",
    ),
    "postgres_too_old": Message(
        en="The database server is Postgres {version}; {needed} or newer is needed. Upgrade it, or name another one in "
        "database.url.",
        zh="数据库服务器为 Postgres {version}，需要 {needed} 或更新版本。请升级，或在 database.url 中指定其他服务器。",
    ),
    "message_unreadable": Message(
        en="A message in queue {queue} could not be read ({reason}). Send JSON, to one of the tasks that exist.",
        zh="队列 {queue} 中的一条消息无法读取（{reason}）。请以 JSON 格式发送给已有的任务。",
    ),
    "ratio_out_of_range": Message(
        en="ratio is {value}; it must be between 0 and 1, as 0.2 for a fifth of the tasks.",
        zh="ratio 的值为 {value}，必须介于 0 和 1 之间，例如 0.2 表示五分之一的任务。",
    ),
    "sqlite_unsafe": Message(
        en="SQLite {version} can corrupt its file when several processes write. Install SQLite {needed} or newer: "
        "pip install 'pysqlite3>=0.6.1'.",
        zh="SQLite {version} 在多个进程写入时可能损坏文件。请安装 {needed} 或更新版本：pip install 'pysqlite3>=0.6.1'。",
    ),
}
