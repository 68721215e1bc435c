"""Pictures: from the bytes of an image file to colours, a thumbnail, a fingerprint, and the text that is in it.

Knows images, not tasks and not models. The libraries are extras (``images``, ``ocr``) and imported where they are used.
"""

__all__: list[str] = []
