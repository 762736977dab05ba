"""Confinement of a process that may be taken over: no network, no files but code to import."""

from pacs_core.sandbox.confinement import Confinement, confine, describe_protection

__all__ = ["Confinement", "confine", "describe_protection"]
