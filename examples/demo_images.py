"""The part of the guided tour that shows pictures: build a dataset, find a picture by an altered copy, report duplicates."""

from collections.abc import Callable
from pathlib import Path

from images_source import altered_copy, draw_dataset

__all__ = ["show_images"]


def show_images(scratch: Path, *, step: Callable[[str], None], gristmill: Callable[..., int]) -> bool:
    """Draw and build the dataset in ``scratch``; whether each command did what it was meant to."""
    pictures, found = scratch / "mill pictures", scratch / "found on a memory card.jpg"
    count = draw_dataset(pictures)
    altered_copy(pictures / "wheel" / "wheel 4.jpg", found)

    step("Build a dataset of pictures: embedded in batches, in the background")
    print(f"{count} files, one of them broken on purpose: it is reported, and the rest is in.\n")
    # Exit status 1: one picture failed, as it should.
    good = gristmill("images", "build", str(pictures), "--no-text") == 1

    step("Search by picture: a copy that was cropped, scaled, made brighter and compressed hard")
    good &= gristmill("images", "search", str(found), "--limit", "4") == 0
    print("  -> wheel 4.jpg, and other water wheels behind it\n")

    step("Report duplicates: what to keep, and what could go")
    return good & (gristmill("images", "duplicates", pictures.name) == 0)
