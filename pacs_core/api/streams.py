"""Asynchronous iterators: closed for certain, and begun before anything depends on them."""

from pacs_core.concurrency import begin_iteration, closing

__all__ = ["begin_iteration", "closing"]
