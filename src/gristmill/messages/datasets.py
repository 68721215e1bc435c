"""Messages of the datasets area: building, following and searching images."""

from collections.abc import Mapping

from gristmill.messages.model import Message

__all__ = ["MESSAGES"]

MESSAGES: Mapping[str, Message] = {
    "collection_not_of_images": Message(
        "The collection “{collection}” holds text, embedded by {embedder}, and no images. Give the dataset another "
        "name, or delete the collection.",
        "集合“{collection}”存放的是由 {embedder} 嵌入的文本，而不是图片。请为数据集另起名称，或删除该集合。",
    ),
    "collection_of_images": Message(
        "The collection “{collection}” holds images, which are embedded from their files. Build its dataset again "
        "under another name with the embedder you want.",
        "集合“{collection}”存放的是图片，其向量由文件生成。请用所需的嵌入模型以另一个名称重新构建该数据集。",
    ),
    "dataset_cancelled": Message(
        "{dataset}: cancelled after {done} of {total} images. Build it again to go on.",
        "{dataset}：已取消，完成 {done}/{total} 张图片。再次构建即可继续。",
    ),
    "dataset_completed": Message(
        "{dataset}: {total} images, {done} embedded, {skipped} unchanged, {failed} failed.",
        "{dataset}：共 {total} 张图片，已嵌入 {done}，未变化 {skipped}，失败 {failed}。",
    ),
    "dataset_failed": Message(
        "{dataset}: failed after {done} of {total} images. See the error, then build it again.",
        "{dataset}：在完成 {done}/{total} 张图片后失败。请查看错误，然后重新构建。",
    ),
    "dataset_falls_back": Message(
        "{dataset}: {done} of {total} images; computed by local workers meanwhile. {reason}",
        "{dataset}：已完成 {done}/{total} 张图片；期间由本地进程计算。{reason}",
    ),
    "dataset_fell_back": Message(
        "{dataset}: {total} images, {done} embedded, {skipped} unchanged, {failed} failed; {count} of them while the "
        "broker was away.",
        "{dataset}：共 {total} 张图片，已嵌入 {done}，未变化 {skipped}，失败 {failed}；其中 {count} 张在消息代理不可用时处理。",
    ),
    "dataset_name_invalid": Message(
        "“{value}” cannot be a dataset. Give the name of a folder: printable, without slashes, not beginning with a dot, "
        "of at most 100 characters.",
        "“{value}”不能作为数据集。请给出文件夹名称：可打印字符，不含斜杠，不以点开头，最多 100 个字符。",
    ),
    "dataset_not_found": Message(
        "There is no dataset “{dataset}”. There are: {known}. A dataset is a folder in GRISTMILL_IMAGES__ROOT.",
        "没有数据集“{dataset}”。现有：{known}。数据集是 GRISTMILL_IMAGES__ROOT 中的一个文件夹。",
    ),
    "dataset_pending": Message("{dataset}: waits for a worker.", "{dataset}：正在等待工作进程。"),
    "dataset_processing": Message("{dataset}: {done} of {total} images.", "{dataset}：已完成 {done}/{total} 张图片。"),
    "datasets_build_queued": Message("Building {count} datasets", "正在构建 {count} 个数据集"),
    "datasets_build_queued_locally": Message(
        "Building {count} datasets with local workers. {reason}", "正在用本地进程构建 {count} 个数据集。{reason}"
    ),
    "duplicate_distance_out_of_range": Message(
        "The distance {value} is outside 0 to {maximum}. Give a number of bits in that range.",
        "距离 {value} 不在 0 到 {maximum} 之间。请给出该范围内的位数。",
    ),
    "duplicates_found": Message("Found {count} groups of duplicates", "找到 {count} 组重复图片"),
    "image_base64_invalid": Message(
        "The image in “{field}” is not usable: {reason}. Send the bytes of one image file as base64.",
        "“{field}”中的图片不可用：{reason}。请以 base64 发送一个图片文件的字节。",
    ),
    "image_model_differs": Message(
        "The collection was embedded by {expected}, the settings now name {actual}. Set the old model again, or build "
        "the dataset under another name.",
        "该集合由 {expected} 嵌入，而当前设置为 {actual}。请恢复原模型，或以另一个名称构建数据集。",
    ),
    "image_models_differ": Message(
        "The collections “{one}” ({model}) and another one ({other}) are of different models and cannot be compared. "
        "Name collections of one model, or send the image itself.",
        "集合“{one}”（{model}）与另一个集合（{other}）使用不同的模型，无法比较。请指定同一模型的集合，或直接发送图片。",
    ),
    "image_not_indexed": Message(
        "The image {document_id} is not in the index. Build its dataset, and see its error.",
        "图片 {document_id} 不在索引中。请构建其数据集，并查看其错误。",
    ),
    "image_query_died": Message(
        "“{name}” ended the process that read it. Save it anew in another program and try again.",
        "“{name}”导致读取它的进程终止。请用其他程序重新保存后再试。",
    ),
    "image_query_missing": Message(
        "There is nothing to search for. Send an image as “file”, or name an indexed one by “image_id”.",
        "没有搜索内容。请以“file”发送图片，或用“image_id”指定已索引的图片。",
    ),
    "image_query_too_slow": Message(
        "The image was not read within {seconds} seconds. Try again, or send a smaller one.",
        "未能在 {seconds} 秒内读取图片。请重试，或发送较小的图片。",
    ),
    "images_found": Message("Found {count} images", "找到 {count} 张图片"),
    "images_root_unset": Message(
        "No folder holds image datasets yet. Let the operator set GRISTMILL_IMAGES__ROOT.",
        "尚未设置存放图片数据集的文件夹。请由管理员设置 GRISTMILL_IMAGES__ROOT。",
    ),
    "no_images_yet": Message(
        "No collection holds images yet. Build a dataset with POST /api/build_index or gristmill images build.",
        "还没有存放图片的集合。请用 POST /api/build_index 或 gristmill images build 构建数据集。",
    ),
    "region_unreadable": Message(
        "The region “{value}” is not four whole numbers. Give x,y,width,height in pixels.",
        "区域“{value}”不是四个整数。请给出以像素为单位的 x,y,width,height。",
    ),
    "thumbnail_not_found": Message(
        "There is no thumbnail of this document. Images have one as soon as they are indexed.",
        "该文档没有缩略图。图片在索引后即有缩略图。",
    ),
}
