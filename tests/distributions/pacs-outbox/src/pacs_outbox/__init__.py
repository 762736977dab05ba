"""A change consumer that appends a line for each change to a file, slowly."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import anyio
from attrs import frozen

from pacs_core.contracts import (
    Change,
    ChangeConsumer,
    ChangeConsumerDescriptor,
    ChangeKind,
    Setup,
)
from pacs_core.plugins import hookimpl


@frozen
class Config:
    """The table ``[plugin.outbox]``.

    Attributes
    ----------
    seconds : float
        That it takes for each change.
    begin : str
        As in the descriptor.
    fail_at : int
        The sequence of a change at which it fails as long as there is no file ``mended``.
    """

    seconds: float = 0.0
    begin: Literal["now", "all"] = "now"
    fail_at: int = -1


class Outbox(ChangeConsumer):
    """Writes what it hears, and the identifier of the process in which it does so."""

    def __init__(self, folder: Path, config: Config) -> None:
        self._folder = folder
        self._config = config

    async def start(self) -> None:
        """Note that it runs."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._append("processes", str(os.getpid()))

    async def handle(self, changes: Sequence[Change]) -> None:
        """Append a line for each."""
        for change in changes:
            await anyio.sleep(self._config.seconds)
            if change.sequence == self._config.fail_at and not (self._folder / "mended").exists():
                raise ConnectionError("the other side does not answer")
            instance = change.instance
            line = {
                "process": os.getpid(),
                "sequence": change.sequence,
                "kind": change.kind.value,
                "study": change.study_instance_uid,
                "instance": instance and instance.identity.sop_instance_uid,
                "key": instance and instance.key,
            }
            self._append("changes.jsonl", json.dumps(line))

    def _append(self, name: str, line: str) -> None:
        with (self._folder / name).open("a") as file:
            file.write(line + "\n")


@hookimpl
def pacs_config() -> type:
    """Return the class of the table."""
    return Config


@hookimpl
def pacs_change_consumers(setup: Setup) -> list[ChangeConsumerDescriptor]:
    """Return the consumer, which hears of everything."""
    config = setup.config(Config)
    return [
        ChangeConsumerDescriptor(
            "outbox",
            lambda node: Outbox(setup.plugin.directory, config),
            kinds=frozenset(ChangeKind),
            begin=config.begin,
            batch=16,
        )
    ]
