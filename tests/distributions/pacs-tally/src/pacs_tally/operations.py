"""The operations: what handlers and commands agree on."""

from datetime import datetime
from pathlib import Path

from attrs import frozen

from pacs_core.contracts import ControlOperation


@frozen
class Nothing:
    """A request without parameters."""


@frozen
class Count:
    """What one process of the node has stored, and how many watch it."""

    stored: int
    watchers: int
    since: datetime


@frozen
class Seen:
    """An instance that was stored."""

    sop_instance_uid: str


@frozen
class Name:
    """An instance to be located."""

    study: str
    instance: str


@frozen
class Place:
    """Where an instance lies."""

    key: Path


SHOW = ControlOperation("tally.show", Nothing, Count, workers="all")
WATCH = ControlOperation("tally.watch", Nothing, Seen, workers="all")
LOCATE = ControlOperation("tally.locate", Name, Place)
BREAK = ControlOperation("tally.break", Nothing, Nothing)
