"""The handler: appends each stored instance to a list for another program to follow."""

import json
from pathlib import Path
from typing import Final

from anyio import to_thread
from attrs import asdict
from pacs_core.contracts import EventHandler, InstanceEvent, InstanceEventKind
from pacs_core.dataset import tag_of, texts

from {{ cookiecutter.__package }}.config import Config

_MODALITY: Final = tag_of("Modality")


class Arrivals(EventHandler):
    """Writes a line of JSON for each instance that is stored.

    Parameters
    ----------
    path : Path
        File that lines are appended to.
    config : Config
    """

    def __init__(self, path: Path, config: Config) -> None:
        self._path = path
        self._config = config

    async def start(self) -> None:
        """Make the directory."""
        await to_thread.run_sync(lambda: self._path.parent.mkdir(parents=True, exist_ok=True))

    async def handle(self, event: InstanceEvent) -> None:
        """See base."""
        modality = "".join(texts(event.attributes, _MODALITY)[:1])
        if event.kind is InstanceEventKind.STORED and self._is_listed(modality):
            # Files block: a thread does the work, and the event loop goes on.
            await to_thread.run_sync(self._append, _line(event, modality))

    def _is_listed(self, modality: str) -> bool:
        return not self._config.modalities or modality in self._config.modalities

    def _append(self, line: str) -> None:
        with self._path.open("a", encoding="ascii") as file:
            file.write(line)


def _line(event: InstanceEvent, modality: str) -> str:
    """Return a line of ASCII, whatever the attributes hold."""
    facts = {
        **asdict(event.instance.identity),
        "modality": modality,
        "calling_ae_title": event.origin.calling_ae_title,
    }
    return json.dumps(facts, ensure_ascii=True) + "\n"
