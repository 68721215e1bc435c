"""Compares the engines on the same work, beside bare Celery and bare RQ on the same broker.

Imports nothing: the workers of those two import the tasks from here, and shall not carry our libraries.
"""
