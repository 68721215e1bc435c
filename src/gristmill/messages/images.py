"""Messages of the images area."""

from collections.abc import Mapping

from gristmill.messages.model import Message

__all__ = ["MESSAGES"]

_DECODE: Mapping[str, Message] = {
    "image_damaged": Message(
        "“{name}” begins like a {format} image but is damaged or incomplete and cannot be decoded. Open it in its program, save it "
        "and add it again.",
        "“{name}”的开头是 {format} 图片，但文件已损坏或不完整，无法解码。请用相应程序打开并重新保存，然后再次添加。",
    ),
    "image_empty": Message(
        "The image “{name}” is empty: it has 0 bytes. Copy it again from where it came from.",
        "图片“{name}”是空的：大小为 0 字节。请从来源处重新复制。",
    ),
    "image_format_unsupported": Message(
        "“{name}” is a {format} file, which is not read as an image. Save it as JPEG, PNG or WebP and add it again.",
        "“{name}”是 {format} 文件，不能作为图片读取。请另存为 JPEG、PNG 或 WebP 后再次添加。",
    ),
    "image_frames_left_out": Message(
        "“{name}” has {frames} frames or pages; only one of them is used. Save the others as images of their own if "
        "they are to be found.",
        "“{name}”有 {frames} 帧或页，只使用其中一帧。如需检索其余部分，请将其另存为单独的图片。",
    ),
    "image_too_large": Message(
        "“{name}” is {width} x {height} pixels large; images of more than {max_pixels} pixels in all are refused. Scale "
        "it down, or raise GRISTMILL_IMAGES__MAX_PIXELS.",
        "“{name}”的尺寸为 {width} x {height} 像素；总像素超过 {max_pixels} 的图片会被拒绝。请缩小图片，或提高 "
        "GRISTMILL_IMAGES__MAX_PIXELS。",
    ),
    "image_truncated": Message(
        "“{name}” is a {format} image of which the end is missing. Copy it again from where it came from.",
        "“{name}”是 {format} 图片，但文件末尾缺失。请从来源处重新复制。",
    ),
    "image_unfolds": Message(
        "“{name}” is a {format} image that unfolds to far more than can be decoded, and was refused. Save it again, "
        "smaller.",
        "“{name}”是 {format} 图片，展开后远超可解码的范围，已被拒绝。请缩小后重新保存。",
    ),
    "image_unreadable": Message(
        "“{name}” is not an image, whatever its name says. Give a JPEG, PNG, WebP, GIF, TIFF, BMP, HEIC or AVIF file.",
        "“{name}”的内容不是图片，与其名称无关。请提供 JPEG、PNG、WebP、GIF、TIFF、BMP、HEIC 或 AVIF 文件。",
    ),
    "region_outside": Message(
        "The region {region} (x,y,width,height) is not inside the image, which is {width} x {height} pixels large. Give "
        "whole numbers within it.",
        "区域 {region}（x,y,宽,高）不在图片之内；图片的尺寸为 {width} x {height} 像素。请给出图片范围内的整数。",
    ),
}

MESSAGES: Mapping[str, Message] = {**_DECODE}
