"""Messages of the steps area."""

from collections.abc import Mapping

from gristmill.messages.model import Message

__all__ = ["MESSAGES"]

_FETCH: Mapping[str, Message] = {
    "address_not_public": Message(
        "The host {host} is not on the public network. Use a public address, or let the operator add the host to "
        "GRISTMILL_SOURCES__ALLOWED_HOSTS.",
        "主机 {host} 不在公共网络上。请使用公共地址，或由管理员把该主机加入 GRISTMILL_SOURCES__ALLOWED_HOSTS。",
    ),
    "fetched_file_gone": Message(
        "The fetched copy of “{name}” is gone. Index the document again.",
        "“{name}”的本地副本已不存在。请重新索引该文档。",
    ),
    "file_changing": Message(
        "The file “{name}” changed while it was read. It is tried again; wait until nobody writes to it.",
        "文件“{name}”在读取过程中发生了变化。将会重试；请等到没有程序写入该文件。",
    ),
    "host_not_found": Message(
        "The host {host} was not found. Check its spelling and the name service of the server.",
        "找不到主机 {host}。请检查拼写和服务器的域名解析。",
    ),
    "path_not_absolute": Message(
        "The path of “{name}” is not absolute. Give the full path, beginning with a slash.",
        "“{name}”的路径不是绝对路径。请给出以斜杠开头的完整路径。",
    ),
    "path_not_found": Message(
        "There is no file “{name}” at this path. Check the path as the server sees it.",
        "该路径下没有文件“{name}”。请检查该路径在服务器上是否正确。",
    ),
    "path_not_readable": Message(
        "The file “{name}” cannot be read. Give the user of the service the right to read it.",
        "无法读取文件“{name}”。请为服务所用的用户授予读取权限。",
    ),
    "path_not_regular": Message(
        "“{name}” is not a regular file. Name a file, not a folder or a device.",
        "“{name}”不是普通文件。请指定文件，而不是文件夹或设备。",
    ),
    "path_not_text": Message(
        "The path of the file “{name}” is not UTF-8, so it cannot be kept. Rename the file, or the folder it is in.",
        "文件“{name}”的路径不是 UTF-8 编码，无法保存。请重命名该文件或其所在文件夹。",
    ),
    "path_outside_roots": Message(
        "The path of “{name}” is outside the folders this service may read. Move the file, or let the operator add "
        "its folder to GRISTMILL_SOURCES__ROOTS.",
        "“{name}”的路径不在本服务允许读取的文件夹内。请移动文件，或由管理员把其文件夹加入 GRISTMILL_SOURCES__ROOTS。",
    ),
    "source_too_large": Message(
        "“{name}” is larger than the limit of {max_bytes} bytes. Split it, or raise the limit.",
        "“{name}”超过了 {max_bytes} 字节的上限。请拆分文件，或提高上限。",
    ),
    "source_too_slow": Message(
        "The source did not deliver the whole document within {seconds} seconds. Try again later, or raise the limit.",
        "来源未能在 {seconds} 秒内传完整个文档。请稍后再试，或提高时限。",
    ),
    "url_answer_incomplete": Message(
        "The answer of {host} ended after {received} bytes, twice, and that is not what it announced. Correct that "
        "server, or download the document and upload it instead.",
        "主机 {host} 的响应两次都在 {received} 字节处结束，与其声明的内容不符。请更正该服务器，或先下载文档再上传。",
    ),
    "url_answer_malformed": Message(
        "What {host} sent is not a valid HTTP answer; its headers contradict each other or cannot be read. Correct "
        "that server, or download the document and upload it instead.",
        "主机 {host} 返回的不是有效的 HTTP 响应：其响应头互相矛盾或无法读取。请更正该服务器，或先下载文档再上传。",
    ),
    "url_certificate_invalid": Message(
        "The certificate of {host} is not valid. Correct it on that server, or use another address.",
        "{host} 的证书无效。请在该服务器上更正，或改用其他地址。",
    ),
    "url_coding_unsupported": Message(
        "The host {host} sent the content encoding “{coding}”, which is not understood. Download the document and "
        "upload it instead.",
        "主机 {host} 使用了无法识别的内容编码“{coding}”。请先下载文档，再上传。",
    ),
    "url_invalid": Message(
        "This is not a usable URL: {reason}. Give an address such as https://example.org/report.pdf.",
        "该 URL 不可用：{reason}。请给出形如 https://example.org/report.pdf 的地址。",
    ),
    "url_redirects_nowhere": Message(
        "The host {host} redirects to an address that cannot be fetched. Give the final address of the document.",
        "主机 {host} 重定向到了无法获取的地址。请给出文档的最终地址。",
    ),
    "url_redirects_too_often": Message(
        "The address redirects more than {most} times, last at {host}. Give the final address of the document.",
        "该地址重定向超过 {most} 次，最后一次在 {host}。请给出文档的最终地址。",
    ),
    "url_refused": Message(
        "The host {host} answered with status {status}. Check that the document exists and is open to everyone.",
        "主机 {host} 返回状态码 {status}。请确认文档存在且可公开访问。",
    ),
    "url_scheme_unsupported": Message(
        "URLs that begin with “{scheme}” cannot be fetched. Use http or https.",
        "无法获取以“{scheme}”开头的 URL。请使用 http 或 https。",
    ),
    "url_server_failed": Message(
        "The host {host} answered with status {status}; it is tried again. If it lasts, ask the operator of that host.",
        "主机 {host} 返回状态码 {status}，将会重试。若持续出现，请联系该主机的管理员。",
    ),
    "url_unreachable": Message(
        "The document could not be read from {host} ({reason}); it is tried again. Check that the host is up.",
        "无法从 {host} 读取文档（{reason}），将会重试。请确认该主机正在运行。",
    ),
    "url_with_credentials": Message(
        "The URL carries a user name or password for {host}. Remove them: URLs are stored and shown.",
        "该 URL 含有 {host} 的用户名或密码。请将其去掉：URL 会被保存和显示。",
    ),
}

_PARSE: Mapping[str, Message] = {
    "archive_cut": Message(
        "The archive “{name}” holds more than the limits allow; {left} members were left out. Split it.",
        "压缩包“{name}”的内容超过上限，有 {left} 个文件未读取。请拆分压缩包。",
    ),
    "archive_member_expands_too_much": Message(
        "“{name}” unpacks to more than the limits allow and was left out. Add the file on its own.",
        "“{name}”解压后超过上限，未读取。请单独添加该文件。",
    ),
    "archive_nested": Message(
        "“{name}” is an archive inside an archive and was left out. Add it on its own.",
        "“{name}”是压缩包中的压缩包，未读取。请单独添加。",
    ),
    "attachments_not_read": Message(
        "The attachments of “{name}” were not read: {attachments}. Add them as documents of their own.",
        "未读取“{name}”的附件：{attachments}。请将其作为单独的文档添加。",
    ),
    "characters_replaced": Message(
        "Some characters of “{name}” are not valid {encoding} and were replaced. Save the file as UTF-8.",
        "“{name}”中有些字符不是有效的 {encoding}，已被替换。请将文件另存为 UTF-8。",
    ),
    "document_damaged": Message(
        "“{name}” is damaged or incomplete and cannot be read. Open it in its program, save it and add it again.",
        "“{name}”已损坏或不完整，无法读取。请用相应程序打开并重新保存，然后再次添加。",
    ),
    "document_encrypted": Message(
        "“{name}” is protected by a password. Remove the protection and add it again.",
        "“{name}”受密码保护。请去除保护后再次添加。",
    ),
    "document_expands_too_much": Message(
        "“{name}” unpacks to far more than its size and was refused. Split the document.",
        "“{name}”解压后远大于其自身大小，已被拒绝。请拆分文档。",
    ),
    "file_too_large_for_format": Message(
        "“{name}” has {size_mb} MB or more, counted unpacked; of a {format} file at most {max_mb} MB are read, because "
        "that takes many times as much memory. Split it, or raise GRISTMILL_SOURCES__MAX_STRUCTURED_MB.",
        "“{name}”解压后不少于 {size_mb} MB；{format} 文件最多读取 {max_mb} MB，因为读取所需内存是其大小的许多倍。请拆分文件，"
        "或提高 GRISTMILL_SOURCES__MAX_STRUCTURED_MB。",
    ),
    "file_empty": Message(
        "The file “{name}” is empty. Add it again once it has content.",
        "文件“{name}”是空的。请在有内容后再次添加。",
    ),
    "format_unsupported": Message(
        "The format of “{name}” cannot be read. Save it as PDF, DOCX, XLSX, PPTX or text and add it again.",
        "无法读取“{name}”的格式。请另存为 PDF、DOCX、XLSX、PPTX 或文本后再次添加。",
    ),
    "mislabelled": Message(
        "“{name}” is named {named} but holds {found}; it was read as {found}. Rename it if that is wrong elsewhere.",
        "“{name}”的扩展名是 {named}，内容却是 {found}，已按 {found} 读取。如有需要请改名。",
    ),
    "no_text_found": Message(
        "No text was found in “{name}”. Check that the document has text and not only pictures.",
        "在“{name}”中没有找到文字。请确认文档含有文字，而不仅是图片。",
    ),
    "parse_too_slow": Message(
        "“{name}” could not be read within {seconds} seconds. Split the document, or raise the limit.",
        "未能在 {seconds} 秒内读完“{name}”。请拆分文档，或提高时限。",
    ),
    "read_as_plain_text": Message(
        "“{name}” is not well-formed {format} and was read as plain text. Correct the file if its structure matters.",
        "“{name}”不是格式正确的 {format}，已按纯文本读取。如需保留结构，请更正文件。",
    ),
    "scanned_without_text": Message(
        "All {pages} pages of “{name}” are pictures without text. Where gristmill[ocr] is installed, workers read them "
        "after this; if it was installed later, index the document again with force.",
        "“{name}”的全部 {pages} 页都是没有文字的图片。安装了 gristmill[ocr] 时，工作进程随后会识别其中文字；若之后才安装，请强制重新索引该文档。",
    ),
    "notices_cut": Message(
        "There is more to say about “{name}”: {left} further notices are not listed. Deal with those listed first.",
        "关于“{name}”还有 {left} 条提示未列出。请先处理已列出的提示。",
    ),
    "text_cut": Message(
        "The text of “{name}” has {total} characters; only the first {kept} are kept. Split the document.",
        "“{name}”的文字共 {total} 个字符，只保留了前 {kept} 个。请拆分文档。",
    ),
}

MESSAGES: Mapping[str, Message] = {**_FETCH, **_PARSE}
