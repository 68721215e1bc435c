"""Says what a chunk is about, so that it is found by more than its words."""

from gristmill.steps.enrich.local import Metadata, describe

__all__ = ["Metadata", "describe"]
