"""Pictures that are drawn on the spot, and copies of them as people make them."""

from collections.abc import Callable, Mapping
from io import BytesIO
from random import Random

from PIL import Image, ImageDraw, ImageFilter, ImageOps

__all__ = ["ALTERATIONS", "picture", "traffic_light"]


def picture(seed: int, width: int = 480, height: int = 320) -> Image.Image:
    """A scene of its own for each ``seed``."""
    random = Random(seed)

    def colour() -> tuple[int, int, int]:
        return random.randrange(256), random.randrange(256), random.randrange(256)

    image = Image.new("RGB", (width, height), colour())
    draw = ImageDraw.Draw(image)
    for _ in range(14):
        left, top = random.randrange(width), random.randrange(height)
        box = (left, top, left + random.randrange(20, width // 2), top + random.randrange(20, height // 2))
        random.choice([draw.ellipse, draw.rectangle])(box, fill=colour())
    return image.filter(ImageFilter.GaussianBlur(2))


def traffic_light() -> Image.Image:
    image = Image.new("RGB", (224, 224), (135, 190, 235))
    draw = ImageDraw.Draw(image)
    draw.rectangle((106, 170, 118, 224), fill=(60, 60, 60))
    draw.rounded_rectangle((72, 10, 152, 190), 14, fill=(25, 25, 25))
    for top, colour in ((20, (235, 30, 30)), (76, (90, 70, 10)), (132, (10, 70, 30))):
        draw.ellipse((88, top, 136, top + 48), fill=colour)
    return image.filter(ImageFilter.GaussianBlur(1))


def _jpeg(image: Image.Image) -> Image.Image:
    file = BytesIO()
    image.save(file, "JPEG", quality=30)
    return Image.open(file).convert("RGB")


def _part(image: Image.Image) -> Image.Image:
    width, height = image.size
    return image.crop((width // 20, height // 10, width * 19 // 20, height))


ALTERATIONS: Mapping[str, Callable[[Image.Image], Image.Image]] = {
    "part": _part,
    "small": lambda image: image.resize((image.width // 3, image.height // 3)),
    "jpeg": _jpeg,
    "mirrored": ImageOps.mirror,
    "brighter": lambda image: image.point(lambda value: min(255, int(value * 1.3))),
    "turned": lambda image: image.rotate(8, Image.Resampling.BICUBIC, fillcolor=(128, 128, 128)),
}
