"""Confinement of processes that plugins start for work on what anybody may send."""

from pacs_core.sandbox import Confinement, confine, describe_protection

__all__ = ["Confinement", "confine", "describe_protection"]
