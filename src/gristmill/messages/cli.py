"""What the command line says, and what the doctor finds."""

from collections.abc import Mapping

from gristmill.messages.model import Message

__all__ = ["MESSAGES"]

MESSAGES: Mapping[str, Message] = {
    "already_up": Message(
        en="Gristmill is up already at {url} (pid {pid}). Stop it with gristmill down, or use another --data directory.",
        zh="Gristmill 已在 {url} 运行（进程 {pid}）。请用 gristmill down 停止，或换用其他 --data 目录。",
    ),
    "api_silent": Message(
        en="The API at {url} did not answer within {seconds} s. Look into {log}.",
        zh="{url} 上的 API 在 {seconds} 秒内没有响应。请查看 {log}。",
    ),
    "backup_damaged": Message(
        en="The copy of the database is damaged ({reason}), so the database is too. Restore an earlier backup.",
        zh="数据库副本已损坏（{reason}），说明数据库本身也已损坏。请恢复较早的备份。",
    ),
    "backup_exists": Message(
        en="{file} exists. Choose another name, or replace it with --force.",
        zh="{file} 已存在。请换一个名称，或用 --force 覆盖。",
    ),
    "backup_failed": Message(
        en="{file} could not be written ({reason}). Check the folder and the space on its disk.",
        zh="无法写入 {file}（{reason}）。请检查该文件夹及其磁盘空间。",
    ),
    "backup_folder_missing": Message(
        en="There is no folder {folder}. Create it, or choose another place for {field}.",
        zh="文件夹 {folder} 不存在。请先创建，或为 {field} 选择其他位置。",
    ),
    "cli_ask_delete": Message(
        en="Delete the collection {collection} with {count} documents?",
        zh="删除集合 {collection} 及其 {count} 个文档？",
    ),
    "cli_backed_up": Message(
        en="Wrote {file}: {megabytes} MB, {uploads} uploads. To restore, unpack it into an empty directory.",
        zh="已写入 {file}：{megabytes} MB，{uploads} 个上传文件。恢复时请解压到空目录。",
    ),
    "cli_canary": Message(
        en="Canary: {new} has {share} of the tasks, {old} the rest.",
        zh="灰度中：{new} 承担 {share} 的任务，其余由 {old} 承担。",
    ),
    "cli_canary_ended": Message(
        en="The last canary of {new} beside {old} ended: {ended}.", zh="上次 {new} 相对 {old} 的灰度已结束：{ended}。"
    ),
    "cli_cancelled": Message(en="{count} cancelled.", zh="已取消 {count} 个。"),
    "cli_cancelling": Message(
        en="Cancelling. Press Ctrl-C again to leave at once.", zh="正在取消。再按一次 Ctrl-C 立即退出。"
    ),
    "cli_collection_deleted": Message(
        en="Deleted the collection {collection} with {count} documents.",
        zh="已删除集合 {collection} 及其 {count} 个文档。",
    ),
    "cli_data": Message(en="Data directory: {data}", zh="数据目录：{data}"),
    "cli_database_current": Message(en="The database is up to date.", zh="数据库已是最新。"),
    "cli_deleted": Message(en="Deleted {count} documents.", zh="已删除 {count} 个文档。"),
    "cli_duplicates": Message(
        en="{groups} groups with {count} redundant images; without them {bytes} bytes ({megabytes} MB) would be free.",
        zh="共 {groups} 组，其中 {count} 张多余图片；删除后可释放 {bytes} 字节（{megabytes} MB）。",
    ),
    "cli_failed": Message(en="{count} failed:", zh="{count} 个失败："),
    "cli_images_embedded": Message(
        en="Embedded {count} images in {duration}: {rate} a second.",
        zh="已嵌入 {count} 张图片，用时 {duration}：每秒 {rate} 张。",
    ),
    "cli_images_progress": Message(
        en="{done} of {total} images done, {failed} failed, {skipped} unchanged, {rate} a second, {eta} to go",
        zh="已完成 {done}/{total} 张图片，失败 {failed}，未变化 {skipped}，每秒 {rate} 张，剩余 {eta}",
    ),
    "cli_images_queued": Message(
        en="Queued {names}. Follow it: gristmill tasks watch {task_id}",
        zh="已排队 {names}。查看进度：gristmill tasks watch {task_id}",
    ),
    "cli_images_removed": Message(
        en="{count} removed, because their files are gone.", zh="已移除 {count} 张图片，因为其文件已不存在。"
    ),
    "cli_indexed": Message(
        en="Indexed {count} documents into {collection} in {duration}: {chunks} chunks "
        "({embedded} embedded, {reused} reused, {deleted} deleted).",
        zh="已将 {count} 个文档索引到 {collection}，用时 {duration}：{chunks} 个分块"
        "（新嵌入 {embedded}，复用 {reused}，删除 {deleted}）。",
    ),
    "cli_moved": Message(
        en="Copied {rows} rows. Set database.url to the new database (GRISTMILL_DATABASE__URL) before the next start; "
        "uploads stay in the data directory.",
        zh="已复制 {rows} 行。下次启动前请将 database.url（GRISTMILL_DATABASE__URL）设为新数据库；上传的文件仍在数据目录中。",
    ),
    "cli_key_created": Message(
        en="Created the key {name} ({scope}, {key_id}). Keep this; it is not shown again:",
        zh="已创建密钥 {name}（{scope}，{key_id}）。请妥善保存，以后不再显示：",
    ),
    "cli_key_revoked": Message(en="Revoked the key {key_id}.", zh="已吊销密钥 {key_id}。"),
    "cli_migrated": Message(en="Applied {name}.", zh="已应用 {name}。"),
    "cli_more": Message(en="  … and {count} more.", zh="  …… 另有 {count} 个。"),
    "cli_no_collections": Message(
        en="There are no collections yet. Index something: gristmill index PATH.",
        zh="还没有集合。请先建立索引：gristmill index 路径。",
    ),
    "cli_no_documents": Message(en="No documents match.", zh="没有符合条件的文档。"),
    "cli_no_duplicates": Message(
        en="There are no duplicates in {collection}.", zh="集合 {collection} 中没有重复图片。"
    ),
    "cli_no_hits": Message(
        en="Nothing in {collection} matches “{query}”.", zh="集合 {collection} 中没有与“{query}”匹配的内容。"
    ),
    "cli_no_images": Message(en="No image in {names} is that much alike.", zh="{names} 中没有如此相似的图片。"),
    "cli_no_keys": Message(
        en="There are no keys: the API is open to this machine alone.", zh="没有密钥：API 仅对本机开放。"
    ),
    "cli_no_tasks": Message(en="No tasks match.", zh="没有符合条件的任务。"),
    "cli_no_worker": Message(
        en="No worker is running. Start one: gristmill up.", zh="没有正在运行的工作进程。请启动：gristmill up。"
    ),
    "cli_nothing_runs": Message(en="Nothing is running in {data}.", zh="{data} 中没有正在运行的进程。"),
    "cli_own_worker": Message(
        en="No worker is running: starting one for this command ({slots} at a time).",
        zh="没有正在运行的工作进程：为本次命令启动一个（并行 {slots} 个）。",
    ),
    "cli_page": Message(en="page {page}", zh="第 {page} 页"),
    "cli_page_of": Message(
        en="Shown {shown} of {total}; --after with the last id shows the next ones.",
        zh="显示 {total} 个中的 {shown} 个；用 --after 加最后一个编号查看后续。",
    ),
    "cli_progress": Message(
        en="{done} of {total} {unit} done, {failed} failed, {skipped} skipped, {eta} to go",
        zh="已完成 {done}/{total} {unit}，失败 {failed}，跳过 {skipped}，剩余 {eta}",
    ),
    "cli_queued": Message(
        en="Queued {count} documents. Follow them: gristmill tasks watch {task_id}",
        zh="已排队 {count} 个文档。查看进度：gristmill tasks watch {task_id}",
    ),
    "cli_reembedded": Message(
        en="The collection {collection} now uses the embedder {embedder}.",
        zh="集合 {collection} 现在使用嵌入模型 {embedder}。",
    ),
    "cli_registered": Message(
        en="Registered {count} documents in {collection}; nothing is indexed yet.",
        zh="已在 {collection} 中登记 {count} 个文档，尚未建立索引。",
    ),
    "cli_see_log": Message(en="          see {log}", zh="          请查看 {log}"),
    "cli_start_with_up": Message(en="Start with: gristmill up", zh="启动：gristmill up"),
    "cli_started": Message(en="  {name} pid {pid}  log {log}", zh="  {name} 进程 {pid}  日志 {log}"),
    "cli_state_died": Message(en="died", zh="异常退出"),
    "cli_state_running": Message(en="running", zh="运行中"),
    "cli_state_silent": Message(en="does not answer", zh="无响应"),
    "cli_state_stopped": Message(en="not running", zh="未运行"),
    "cli_stopped": Message(en="Stopped {name} (pid {pid}).", zh="已停止 {name}（进程 {pid}）。"),
    "cli_task_ended_badly": Message(
        en="Task {task_id} did not succeed: {reason}", zh="任务 {task_id} 未成功：{reason}"
    ),
    "cli_task_queued": Message(
        en="Queued. Follow it: gristmill tasks watch {task_id}", zh="已排队。查看进度：gristmill tasks watch {task_id}"
    ),
    "cli_tasks": Message(en="Tasks: {counts}", zh="任务：{counts}"),
    "cli_tasks_cancelled": Message(en="Asked {count} tasks to stop.", zh="已请求停止 {count} 个任务。"),
    "cli_tasks_retried": Message(en="{count} tasks run again.", zh="{count} 个任务将重新运行。"),
    "cli_text_later": Message(
        en="The text in {count} images is left to the next worker; they can be searched by image already.",
        zh="{count} 张图片中的文字留给下一个工作进程识别；现在已可按图片搜索。",
    ),
    "cli_text_meanwhile": Message(
        en="The text in {count} images is read in the background; they can be searched by image already.",
        zh="{count} 张图片中的文字正在后台识别；现在已可按图片搜索。",
    ),
    "cli_text_now": Message(
        en="Reading the text in {count} images; they can be searched by image already. Ctrl-C leaves this to the next "
        "worker, as --no-text does.",
        zh="正在识别 {count} 张图片中的文字；现在已可按图片搜索。按 Ctrl-C 可留给下一个工作进程，与 --no-text 相同。",
    ),
    "cli_text_read": Message(
        en="Text was found in {with_text} of {images} images; {failed} could not be read.",
        zh="{images} 张图片中有 {with_text} 张含有文字；{failed} 张无法识别。",
    ),
    "cli_unchanged": Message(en="{count} unchanged.", zh="{count} 个未变化。"),
    "cli_up": Message(en="Gristmill is up at {url}", zh="Gristmill 已在 {url} 启动"),
    "cli_was_running": Message(
        en="  {name} pid {pid}  was running; log {log}", zh="  {name} 进程 {pid}  原已运行；日志 {log}"
    ),
    "data_unusable": Message(
        en="The data directory {data} cannot be used ({reason}). Check its permissions, or choose another with --data.",
        zh="数据目录 {data} 无法使用（{reason}）。请检查其权限，或用 --data 指定其他目录。",
    ),
    "dataset_folder_missing": Message(
        en="There is no folder {value}, and no dataset of that name in images.root. There are: {known}. Give the path of "
        "a folder of images.",
        zh="没有文件夹 {value}，images.root 中也没有该名称的数据集。现有：{known}。请给出图片文件夹的路径。",
    ),
    "dataset_named_twice": Message(
        en="{one} and {other} would both become the dataset {value}. Rename one of the folders, or build one alone.",
        zh="{one} 和 {other} 会成为同一个数据集 {value}。请重命名其中一个文件夹，或只构建一个。",
    ),
    "doctor_api_answers": Message(en="answers at {url}", zh="{url} 有响应"),
    "doctor_api_remedy": Message(
        en="Look into {log}; then run gristmill down and gristmill up.",
        zh="请查看 {log}，然后运行 gristmill down 和 gristmill up。",
    ),
    "doctor_api_silent": Message(en="does not answer at {url}", zh="{url} 没有响应"),
    "doctor_configuration": Message(en="valid; data directory {data}", zh="有效；数据目录 {data}"),
    "doctor_database_works": Message(
        en="up to date and writable ({milliseconds} ms)", zh="已是最新且可写（{milliseconds} 毫秒）"
    ),
    "doctor_disk_free": Message(en="{free_mb} MB free", zh="剩余 {free_mb} MB"),
    "doctor_disk_low": Message(
        en="only {free_mb} MB free, less than {least_mb} MB", zh="仅剩 {free_mb} MB，少于 {least_mb} MB"
    ),
    "doctor_disk_remedy": Message(
        en="Free some space on the disk of the data directory, or move the directory.",
        zh="请在数据目录所在磁盘上腾出空间，或迁移该目录。",
    ),
    "doctor_embedder_works": Message(
        en="{embedder} works, {dimension} dimensions ({milliseconds} ms with loading)",
        zh="{embedder} 正常，{dimension} 维（含加载 {milliseconds} 毫秒）",
    ),
    "doctor_no_worker": Message(en="no worker is running", zh="没有正在运行的工作进程"),
    "doctor_no_worker_remedy": Message(
        en="Start one with gristmill up or gristmill worker. Without it, only gristmill index brings its own.",
        zh="请用 gristmill up 或 gristmill worker 启动。否则只有 gristmill index 会自带工作进程。",
    ),
    "doctor_postgres_forgets": Message(
        en="Postgres {version} does not wait for its disk: a power cut would take back accepted work",
        zh="Postgres {version} 提交时不等待磁盘写入：断电会丢失已接受的任务",
    ),
    "doctor_postgres_forgets_remedy": Message(
        en="Set fsync and synchronous_commit to on in the server's settings, for this database and user as well.",
        zh="请在服务器设置中将 fsync 和 synchronous_commit 设为 on，并检查该数据库和用户的单独设置。",
    ),
    "doctor_postgres_small": Message(
        en="Postgres {version} serves {connections} connections in all; one API and one worker may need {needed}",
        zh="Postgres {version} 总共只提供 {connections} 个连接；一个 API 加一个工作进程可能需要 {needed} 个",
    ),
    "doctor_postgres_small_remedy": Message(
        en="Raise max_connections in the server's settings, or lower database.connections or workers.concurrency.",
        zh="请在服务器设置中调高 max_connections，或调低 database.connections 或 workers.concurrency。",
    ),
    "doctor_postgres_works": Message(
        en="Postgres {version} with pgvector {pgvector}; {connected} of {connections} connections in use",
        zh="Postgres {version}，pgvector {pgvector}；已用 {connected}/{connections} 个连接",
    ),
    "doctor_queues_deaf": Message(en="no worker listens on: {queues}", zh="以下队列没有工作进程监听：{queues}"),
    "doctor_queues_remedy": Message(
        en="Start a worker for them: gristmill worker --queues '{queues}'; or route the kinds elsewhere.",
        zh="请为其启动工作进程：gristmill worker --queues '{queues}'；或调整任务类型的路由。",
    ),
    "doctor_round_trip": Message(
        en="a task came back after {milliseconds} ms", zh="任务在 {milliseconds} 毫秒后完成往返"
    ),
    "doctor_round_trip_failed": Message(
        en="a task was not done after {seconds} s; it is {state}", zh="任务在 {seconds} 秒后仍未完成，状态为 {state}"
    ),
    "doctor_round_trip_remedy": Message(
        en="Look into {log}, and at gristmill inspect active: every slot may be busy.",
        zh="请查看 {log} 和 gristmill inspect active：可能所有槽位都在忙。",
    ),
    "doctor_sqlite_safe": Message(en="library {version} is safe", zh="库版本 {version} 安全"),
    "doctor_workers_listen": Message(
        en="{count} running with {slots} slots; every queue has one",
        zh="{count} 个正在运行，共 {slots} 个槽位；每个队列都有监听",
    ),
    "host_needs_key": Message(
        en="{field} is {value}, which others can reach, and there is no API key. "
        "Make one first: gristmill keys create NAME; or listen on 127.0.0.1.",
        zh="{field} 为 {value}，其他机器可以访问，但还没有 API 密钥。"
        "请先创建：gristmill keys create 名称；或改为监听 127.0.0.1。",
    ),
    "instance_changing": Message(
        en="Another gristmill up or down is at work in this data directory. Wait for it to end.",
        zh="该数据目录中另有 gristmill up 或 down 正在执行。请等待其结束。",
    ),
    "no_files_found": Message(
        en="There is no file of a known format in {name}. Name files directly, or another folder.",
        zh="{name} 中没有已知格式的文件。请直接指定文件，或换一个文件夹。",
    ),
    "no_images_found": Message(
        en="There is no image in {name}: no file ends in .jpg, .png, .webp, .gif, .tif, .bmp, .heic or .avif. Name "
        "another folder.",
        zh="{name} 中没有图片：没有以 .jpg、.png、.webp、.gif、.tif、.bmp、.heic 或 .avif 结尾的文件。请换一个文件夹。",
    ),
    "port_taken": Message(
        en="Cannot listen on {host}, port {port} ({reason}). Choose another with --port; 0 takes a free one.",
        zh="无法监听 {host} 端口 {port}（{reason}）。请用 --port 换一个；0 表示任选空闲端口。",
    ),
    "process_ended_at_once": Message(
        en="The background process {name} ended at once. Look into {log}. It said:\n{reason}",
        zh="后台进程 {name} 启动后立即退出。请查看 {log}。其输出：\n{reason}",
    ),
    "process_running": Message(
        en="The background process {name} is running already (pid {pid}). Stop it with gristmill down.",
        zh="后台进程 {name} 已在运行（进程 {pid}）。请用 gristmill down 停止。",
    ),
    "process_survived": Message(
        en="The process {name} (pid {pid}) could not be ended. It may hang in the kernel; look at it with ps.",
        zh="无法结束进程 {name}（进程 {pid}）。它可能卡在内核中，请用 ps 查看。",
    ),
    "redis_not_installed": Message(
        en="No Redis is installed here: none of {programs} was found. Install one, or start one yourself.",
        zh="本机未安装 Redis：未找到 {programs} 中的任何一个。请安装，或自行启动。",
    ),
    "redis_not_ours": Message(
        en="redis.url names {host}; only a Redis on this machine, without user names, can be started. Start that one yourself.",
        zh="redis.url 指向 {host}；只能启动本机上且不使用用户名的 Redis。请自行启动该服务。",
    ),
    "redis_without_address": Message(
        en="redis.url is not set, and every command has to know it. Set GRISTMILL_REDIS__URL=redis://127.0.0.1:6379/0 first.",
        zh="尚未设置 redis.url，而所有命令都需要它。请先设置 GRISTMILL_REDIS__URL=redis://127.0.0.1:6379/0。",
    ),
    "task_failed": Message(
        en="The task failed without a reason on record. Look into the worker's log.",
        zh="任务失败，但没有记录原因。请查看工作进程日志。",
    ),
    "worker_ended": Message(
        en="The worker of this command ended before the work did. Look into {log}; the work goes on with the next worker.",
        zh="本次命令的工作进程提前退出。请查看 {log}；下一个工作进程会继续处理。",
    ),
    "cli_watched": Message(
        en="{name}: {indexed} indexed, {removed} removed, {failed} failed",
        zh="{name}：已索引 {indexed}，已移除 {removed}，失败 {failed}",
    ),
    "cli_watching": Message(
        en="Watching {names}. Stop with Ctrl-C.",
        zh="正在监视 {names}。按 Ctrl-C 停止。",
    ),
}
