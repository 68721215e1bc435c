"""Compares the engines on the same work, beside bare Celery and bare RQ on the same broker."""

from gristmill.bench.report import Report
from gristmill.bench.run import CONTENDERS, compare

__all__ = ["CONTENDERS", "Report", "compare"]
