"""Makers of test files: every supported format in English and Chinese, and the hostile ones.

Each maker returns bytes, so a test decides where they live; nothing here is random or dated.
"""
