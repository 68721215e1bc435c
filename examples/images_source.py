"""Draws the pictures of the sample dataset: things of a water mill, a folder each, with copies and a broken file among them.

Nothing is stored: the same run gives the same pictures, in a second.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

__all__ = ["altered_copy", "draw_dataset"]

WIDTH, HEIGHT = 640, 480
CANVAS = (960, 720)
"""What is drawn on: half as wide again, so that edges are smooth when it is made small."""
VARIANTS = 5
"""Pictures of each thing, each drawn a little differently."""
QUALITY = 90

Draw = ImageDraw.ImageDraw
Point = tuple[float, float]


def draw_dataset(folder: Path) -> int:
    """Fill ``folder``; how many files there are then."""
    for thing, draw in THINGS.items():
        place = folder / thing
        place.mkdir(parents=True)
        for number in range(1, VARIANTS + 1):
            picture(draw, f"{thing} {number}").save(place / f"{thing} {number}.jpg", quality=QUALITY)
    _add_copies(folder)
    return sum(place.is_file() for place in folder.rglob("*"))


def picture(draw: Callable[[Draw, Random], None], seed: str) -> Image.Image:
    """One picture of a thing; another ``seed`` is another day at the mill."""
    random = Random(seed)
    image = Image.new("RGB", CANVAS, _colour(random, (214, 216, 208)))
    draw(ImageDraw.Draw(image), random)
    small = image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS).filter(ImageFilter.GaussianBlur(1.5))
    # Uneven, as it is in a real place; softness and noise are those of a camera.
    light = Image.frombytes("L", (8, 6), random.randbytes(48)).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    noise = Image.frombytes("L", (WIDTH, HEIGHT), random.randbytes(WIDTH * HEIGHT))
    return Image.blend(Image.blend(small, light.convert("RGB"), 0.25), noise.convert("RGB"), 0.01)


def altered_copy(source: Path, target: Path) -> None:
    """What becomes of a picture on its way through a few hands: cropped, scaled, made brighter, compressed hard."""
    with Image.open(source) as image:
        left, top = round(image.width * 0.03), round(image.height * 0.02)
        changed = image.crop((left, top, image.width - left, image.height - top))
        changed = changed.resize((changed.width * 3 // 4, changed.height * 3 // 4))
        ImageEnhance.Brightness(changed).enhance(1.1).save(target, quality=55)


def _add_copies(folder: Path) -> None:
    wheel, eel, stone = (folder / thing / f"{thing} 2.jpg" for thing in ("wheel", "eel", "stone"))
    inbox = folder / "inbox"
    inbox.mkdir()
    (inbox / "IMG_0417.jpg").write_bytes(wheel.read_bytes())
    with Image.open(wheel) as image:
        image.resize((WIDTH // 2, HEIGHT // 2)).save(inbox / "wheel small.jpg", quality=70)
    with Image.open(eel) as image:
        image.save(inbox / "eel for the newsletter.png")
    # A copy that broke off half way.
    whole = stone.read_bytes()
    (inbox / "broken transfer.jpg").write_bytes(whole[: len(whole) // 2])


def _wheel(draw: Draw, random: Random) -> None:
    _water(draw, random, level=560)
    centre = (random.uniform(380, 580), random.uniform(290, 340))
    radius, spokes = random.uniform(210, 260), random.choice((8, 10, 12))
    wood = _colour(random, (104, 70, 40))
    turn = random.uniform(0, 1)
    draw.ellipse(_around(centre, radius), outline=wood, width=26)
    draw.ellipse(_around(centre, radius * 0.82), outline=wood, width=14)
    for spoke in range(spokes):
        angle = (spoke + turn) * math.tau / spokes
        draw.line([centre, _at(centre, radius, angle)], fill=wood, width=16)
        for paddle in (angle, angle + math.pi / spokes):
            draw.line([_at(centre, radius * 0.8, paddle), _at(centre, radius * 1.16, paddle)], fill=wood, width=22)
    draw.ellipse(_around(centre, 34), fill=_colour(random, (50, 44, 42)))


def _stone(draw: Draw, random: Random) -> None:
    draw.rectangle((0, 500, 960, 720), fill=_colour(random, (120, 92, 64)))
    centre = (random.uniform(420, 540), random.uniform(340, 390))
    radius = random.uniform(230, 280)
    draw.ellipse(_around(centre, radius), fill=_colour(random, (168, 160, 148)), outline=(92, 86, 80), width=8)
    sectors, turn = random.choice((8, 10)), random.uniform(0, 1)
    for sector in range(sectors):
        angle = (sector + turn) * math.tau / sectors
        for furrow in range(4):
            start = _at(centre, radius * (0.3 + 0.16 * furrow), angle)
            draw.line([start, _at(centre, radius * 0.97, angle + 0.14 * furrow)], fill=(96, 90, 84), width=7)
    draw.ellipse(_around(centre, 46), fill=(40, 36, 34))


def _sluice(draw: Draw, random: Random) -> None:
    level = random.uniform(380, 440)
    _water(draw, random, level=level)
    brick = _colour(random, (150, 84, 62))
    for left in (0, 700):
        for row in range(12):
            for column in range(3):
                x, y = left + column * 90 - (row % 2) * 40, row * 60
                draw.rectangle((x, y, x + 84, y + 54), fill=brick)
    wood, top = _colour(random, (88, 66, 46)), random.uniform(120, 200)
    draw.rectangle((250, top, 700, level + 60), fill=wood)
    for x in range(250, 701, 75):
        draw.line([(x, top), (x, level + 60)], fill=(50, 38, 28), width=6)
    draw.rectangle((455, 0, 495, top), fill=(60, 62, 66))
    draw.rectangle((200, top - 50, 750, top - 20), fill=wood)


def _eel(draw: Draw, random: Random) -> None:
    _water(draw, random, level=0)
    phase, bends = random.uniform(0, math.tau), random.uniform(1.2, 2.0)
    back, belly = _colour(random, (52, 60, 40)), _colour(random, (150, 150, 96))
    middle = random.uniform(300, 420)
    for colour, lift, thick in ((back, 0, 1.0), (belly, 12, 0.45)):
        for step in range(320):
            along = step / 320
            x, y = 130 + 700 * along, middle + lift + 90 * math.sin(phase + bends * math.tau * along)
            draw.ellipse(_around((x, y), thick * (10 + 34 * math.sin(math.pi * (0.15 + 0.85 * along)))), fill=colour)
    head = (130 + 690, middle + 90 * math.sin(phase + bends * math.tau * 0.985))
    draw.ellipse(_around(_at(head, 12, -1), 7), fill=(230, 220, 120), outline=(20, 20, 10), width=3)


def _wheat(draw: Draw, random: Random) -> None:
    draw.rectangle((0, 0, 960, 420), fill=_colour(random, (150, 190, 220)))
    draw.rectangle((0, 400, 960, 720), fill=_colour(random, (196, 160, 70)))
    for _ in range(60):
        foot, height = random.uniform(-20, 980), random.uniform(300, 520)
        lean, gold = random.uniform(-50, 50), _colour(random, (212, 172, 72))
        tip = (foot + lean, 720 - height)
        draw.line([(foot, 720), tip], fill=gold, width=6)
        for grain in range(8):
            y = tip[1] + grain * 15
            for side in (-1, 1):
                draw.ellipse((tip[0] + side * 9 - 8, y - 12, tip[0] + side * 9 + 8, y + 8), fill=gold)


def _lantern(draw: Draw, random: Random) -> None:
    draw.rectangle((0, 0, 960, 720), fill=_colour(random, (34, 32, 44)))
    x, y = random.uniform(400, 560), random.uniform(300, 380)
    for ring in range(14, 0, -1):
        glow = (34 + 12 * (14 - ring), 32 + 9 * (14 - ring), 44 + 2 * (14 - ring))
        draw.ellipse(_around((x, y), ring * random.uniform(22, 24)), fill=glow)
    iron = (20, 18, 18)
    draw.polygon([(x - 80, y - 110), (x + 80, y - 110), (x, y - 190)], fill=iron)
    draw.rectangle((x - 70, y - 110, x + 70, y + 110), outline=iron, width=14)
    draw.line([(x, y - 110), (x, y + 110)], fill=iron, width=8)
    draw.rectangle((x - 86, y + 106, x + 86, y + 136), fill=iron)
    draw.ellipse((x - 22, y - 30, x + 22, y + 60), fill=(255, 214, 120))


def _water(draw: Draw, random: Random, *, level: float) -> None:
    deep = _colour(random, (70, 110, 120))
    draw.rectangle((0, level, 960, 720), fill=deep)
    for _ in range(70):
        x, y, long = random.uniform(-60, 960), random.uniform(level, 720), random.uniform(30, 120)
        draw.arc((x, y, x + long, y + 16), 200, 340, fill=tuple(part + 40 for part in deep), width=4)


def _colour(random: Random, about: tuple[int, int, int]) -> tuple[int, int, int]:
    red, green, blue = (max(0, min(215, part + random.randint(-14, 14))) for part in about)
    return red, green, blue


def _at(centre: Point, radius: float, angle: float) -> Point:
    return centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle)


def _around(centre: Point, radius: float) -> tuple[float, float, float, float]:
    return centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius


THINGS: Mapping[str, Callable[[Draw, Random], None]] = {
    "eel": _eel,
    "lantern": _lantern,
    "sluice": _sluice,
    "stone": _stone,
    "wheat": _wheat,
    "wheel": _wheel,
}
"""By the name of their folder."""
