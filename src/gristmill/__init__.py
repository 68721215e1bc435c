"""Gristmill: index documents, images and code in the background, and search them."""

__all__ = ["__version__"]

__version__ = "0.1.0"
