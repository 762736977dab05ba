"""Other archives, asked for what they have: application entities, and servers of DICOMweb."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib.util import find_spec

from attrs import frozen

from pacs_core.contracts import Node, NodeSettings, Peer, StoredInstance
from pacs_core.dataset import Attributes, tag_of, texts
from pacs_lifecycle.retrieving import fetch_instance, find, finding, get, move

Keys = Mapping[int, tuple[str, ...]]
"""Unique keys and matching keys of a query, and with no value what it returns (PS3.4 C.2.2.1)."""

_LEVEL = tag_of("QueryRetrieveLevel")
_STUDY = tag_of("StudyInstanceUID")
_SERIES = tag_of("SeriesInstanceUID")
_INSTANCE = tag_of("SOPInstanceUID")
_CLASS = tag_of("SOPClassUID")
_CONTEXTS = 127
"""Besides that of C-GET (PS3.8 Table 9-18)."""
_SYNTAXES = (
    ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2"),
    ("1.2.840.10008.1.2.4.70",),
    ("1.2.840.10008.1.2.4.90",),
    ("1.2.840.10008.1.2.4.80",),
    ("1.2.840.10008.1.2.4.50",),
    ("1.2.840.10008.1.2.4.91",),
    ("1.2.840.10008.1.2.5",),
)
"""One presentation context each, so that a peer need not convert what it holds compressed."""


class AnotherArchive(ABC):
    """An archive that is asked.

    What it does not answer, or does not hand out, is a :class:`.retrieving.RetrievalError` or an
    :class:`AssociationError`.
    """

    @abstractmethod
    async def find_studies(self, keys: Keys) -> list[Attributes]:
        """Return the studies that match."""

    @abstractmethod
    async def find_series(self, study: str, keys: Keys) -> list[Attributes]:
        """Return the series of a study."""

    @abstractmethod
    async def fetch_study(self, uid: str, *, by_move: bool) -> None:
        """Let a study be stored here.

        Parameters
        ----------
        uid : str
        by_move : bool
            By C-MOVE where the archive is an application entity, else by C-GET.
        """

    @abstractmethod
    async def fetch_instance(self, instance: StoredInstance) -> None:
        """Let an instance be stored here as it was, in its transfer syntax."""


@frozen
class DimseArchive(AnotherArchive):
    """An application entity: Query/Retrieve (PS3.4 Annex C).

    Attributes
    ----------
    node : Node
    peer : Peer
    """

    node: Node
    peer: Peer

    async def find_studies(self, keys: Keys) -> list[Attributes]:
        """See base."""
        return await self._find("STUDY", keys)

    async def find_series(self, study: str, keys: Keys) -> list[Attributes]:
        """See base."""
        return await self._find("SERIES", {_STUDY: (study,), **keys})

    async def _find(self, level: str, keys: Keys) -> list[Attributes]:
        async with finding(self.node, self.peer) as association:
            return await find(association, {_LEVEL: (level,), **keys})

    async def fetch_study(self, uid: str, *, by_move: bool) -> None:
        """See base."""
        keys = {_LEVEL: ("STUDY",), _STUDY: (uid,)}
        if by_move:
            await move(self.node, self.peer, keys)
            return
        asked = {_LEVEL: ("SERIES",), _STUDY: (uid,), _SERIES: ()}
        classes: set[str] = set()
        async with finding(self.node, self.peer) as association:
            for each in await find(association, asked):
                images = {_LEVEL: ("IMAGE",), _STUDY: (uid,), _INSTANCE: (), _CLASS: ()}
                images[_SERIES] = texts(each, _SERIES)
                for image in await find(association, images):
                    classes.update(texts(image, _CLASS))
        contexts = [(uid, some) for some in _SYNTAXES for uid in sorted(classes)][:_CONTEXTS]
        await get(self.node, self.peer, keys, contexts)

    async def fetch_instance(self, instance: StoredInstance) -> None:
        """See base."""
        await fetch_instance(self.node, self.peer, instance)


def problem_of(name: str, settings: NodeSettings) -> str:
    """Say why an archive cannot be asked; empty if it can."""
    if name in settings.peers:
        return ""
    if name not in settings.dicomweb_peers:
        return f"there is no peer {name!r} with an AE title or dicomweb"
    if find_spec("pacs_dicomweb") is None:
        return f"{name} is asked over DICOMweb: pip install 'pacs-lifecycle[dicomweb]'"
    return ""


def find_archive(node: Node, name: str) -> AnotherArchive:
    """Return an archive by the name of its table; one that has both is an application entity.

    Raises
    ------
    LookupError
        There is none that can be asked; says why.
    """
    if problem := problem_of(name, node.settings):
        raise LookupError(problem)
    if (peer := node.settings.peers.get(name)) is not None:
        return DimseArchive(node, peer)
    from pacs_lifecycle.web_archive import WebArchive

    return WebArchive(node, node.settings.dicomweb_peers[name])
