"""Pauses of those who look for work again and again."""

from pacs_core.concurrency import common_moment

__all__ = ["common_moment"]
