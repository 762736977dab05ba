"""Stored instances on their way to others: planned, read ahead, and sent on associations."""

from pacs_core.sending.sender import NodeSender

__all__ = ["NodeSender"]
