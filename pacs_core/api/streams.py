"""Asynchronous iterators: closed for certain, begun before anything depends on them, cut short."""

from pacs_core.concurrency import begin_iteration, closing, prepend, take

__all__ = ["begin_iteration", "closing", "prepend", "take"]
