"""The handler: tells the counts of what is stored and deleted."""

from typing import Final

from anyio import to_thread
from pacs_core.contracts import EventHandler, InstanceEvent, InstanceEventKind
from pacs_core.dataset import tag_of, texts

from modality_count.config import Config
from modality_count.counts import Counts

_MODALITY: Final = tag_of("Modality")


class ModalityCounter(EventHandler):
    """Counts stored instances by Modality (0008,0060).

    Parameters
    ----------
    counts : Counts
    config : Config
    """

    def __init__(self, counts: Counts, config: Config) -> None:
        self._counts = counts
        self._config = config

    async def start(self) -> None:
        """Make the file of counts."""
        await to_thread.run_sync(self._counts.prepare)

    async def handle(self, event: InstanceEvent) -> None:
        """See base."""
        # Two studies may have instances with one SOP Instance UID: the archive keeps them apart.
        uid = "/".join(event.instance.identity.path)
        if event.kind is InstanceEventKind.STORED:
            await to_thread.run_sync(self._counts.add, uid, self._modality(event))
        elif event.kind is InstanceEventKind.DELETED:
            await to_thread.run_sync(self._counts.remove, uid)

    def _modality(self, event: InstanceEvent) -> str:
        """Return text that can be stored and printed, whatever a peer has sent."""
        text = "".join(texts(event.attributes, _MODALITY)[:1])[:16]
        return "".join(c if c.isprintable() else "?" for c in text) or self._config.unknown
