"""Sources of requests: which instances a service is asked about, and in which form it gets them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

from attrs import frozen

from pacs_ai.checking import Source
from pacs_ai.config import RuleConfig
from pacs_ai.interface import Inputs
from pacs_ai.models import InferenceInput, InferenceRequest
from pacs_core.api.conditions import OriginConditions, find_origin, read_test
from pacs_core.api.streams import closing
from pacs_core.contracts import (
    AllOf,
    Archive,
    DeidentifiedInstance,
    Deidentifier,
    Either,
    InstanceNotFoundError,
    InstancePath,
    Level,
    Node,
    Not,
    Query,
    Restriction,
    StoredInstance,
    UidList,
)
from pacs_core.dataset import tag_of

if TYPE_CHECKING:
    from pacs_dicomweb.api import Content
    from pydicom import Dataset

_STUDY_UID: Final = tag_of("StudyInstanceUID")
_SERIES_UID: Final = tag_of("SeriesInstanceUID")
_MOST_HEADERS: Final = 50


def restriction_of(rule: RuleConfig) -> Restriction:
    """Return what instances a rule is about. ValueError where a condition is none."""
    wanted = tuple(each for item in rule.where.items() for each in read_test(*item).conditions)
    if not rule.unless:
        return AllOf(wanted)
    unwanted = [AllOf(read_test(*item).conditions) for item in rule.unless.items()]
    return AllOf((*wanted, Not(Either(tuple(unwanted)))))


async def select_inputs(
    node: Node,
    study_uid: str,
    *,
    restrictions: Sequence[Restriction] = (),
    series_uids: Sequence[str] = (),
    besides: frozenset[str] = frozenset(),
    senders: OriginConditions | None = None,
) -> list[InferenceInput]:
    """Return the instances of a study that meet restrictions, but for some, such as results."""
    if senders is not None and not senders.ask_for_origin:
        senders = None
    conditions = [UidList(_STUDY_UID, (study_uid,))]
    if series_uids:
        conditions.append(UidList(_SERIES_UID, tuple(series_uids)))
    query = Query(Level.IMAGE, tuple(conditions), restrictions=tuple(restrictions))
    found: list[InferenceInput] = []
    async with closing(node.archive.instances(query)) as instances:
        async for instance in instances:
            identity = instance.identity
            names = {identity.sop_instance_uid, identity.series_instance_uid}
            if names & besides:
                continue
            if senders is not None:
                origin = await find_origin(node.archive, instance)
                if origin is None or not senders.take_from(origin):
                    continue
            found.append(
                InferenceInput(
                    identity.series_instance_uid,
                    identity.sop_instance_uid,
                    instance.digest.hex() or instance.key,
                )
            )
    return found


async def locate_inputs(node: Node, request: InferenceRequest) -> list[StoredInstance]:
    """Return the instances of a request.

    Raises
    ------
    InstanceNotFoundError
        One of them is not in the archive any more, or is another now.
    """
    found = []
    for each in request.inputs:
        instance = await node.archive.locate(InstancePath(request.study_uid, each.instance_uid))
        if instance is None or each.digest not in {instance.digest.hex(), instance.key}:
            raise InstanceNotFoundError(f"{each.instance_uid} is not in the archive any more")
        found.append(instance)
    return found


async def read_source(node: Node, request: InferenceRequest) -> Source | None:
    """Return a request as its results are held against it; None if all of it is gone."""
    headers: list[Dataset] = []
    seen: set[str] = set()
    for each in request.inputs:
        if each.series_uid in seen or len(headers) == _MOST_HEADERS:
            continue
        instance = await node.archive.locate(InstancePath(request.study_uid, each.instance_uid))
        if instance is not None:
            headers.append(await node.archive.read_dataset(instance))
            seen.add(each.series_uid)
    if not headers:
        return None
    return Source(
        request.study_uid,
        frozenset(each.instance_uid for each in request.inputs),
        frozenset(each.series_uid for each in request.inputs),
        headers,
    )


@frozen
class _StoredFile:
    """An object of the archive as a file that is sent; opened only then, for there may be many."""

    archive: Archive
    instance: StoredInstance
    size: int

    async def pieces(self) -> AsyncIterator[bytes]:
        async with await self.archive.open(self.instance) as reader:
            if self.size and reader.size != self.size:
                raise InstanceNotFoundError(f"{self.instance.key} has changed meanwhile")
            async with closing(reader.chunks(0)) as chunks:
                async for chunk in chunks:
                    yield bytes(chunk)


@frozen
class _DeidentifiedFile:
    """What was made of an object, as a file that is sent."""

    made: DeidentifiedInstance

    @property
    def size(self) -> int:
        return self.made.size

    def pieces(self) -> AsyncIterator[bytes]:
        return self.made.read(0)


class RequestInputs(Inputs):
    """The instances of a request.

    Parameters
    ----------
    node : Node
    instances : sequence of StoredInstance
    deidentify : str
        Profile.
    """

    def __init__(self, node: Node, instances: Sequence[StoredInstance], deidentify: str) -> None:
        self._node = node
        self.instances = instances
        self.deidentify = deidentify

    async def names(self) -> dict[str, str]:
        """Return what is called what once it is de-identified; see :mod:`.reidentification`."""
        from pacs_ai.reidentification import names_of, read_deidentified

        found: dict[str, str] = {}
        deidentifier = self._node.find(Deidentifier)
        for instance in self.instances:
            original = await self._node.archive.read_dataset(instance)
            stored = _StoredFile(self._node.archive, instance, 0)
            async with deidentifier.deidentify(stored.pieces(), self.deidentify) as made:
                found |= names_of(original, await read_deidentified(made))
        return found

    @asynccontextmanager
    async def open(self) -> "AsyncIterator[Sequence[Content]]":
        """See base."""
        archive = self._node.archive
        async with AsyncExitStack() as stack:
            contents: list[Content] = []
            for instance in self.instances:
                size = instance.size
                if instance.corrections or self.deidentify:
                    async with await archive.open(instance) as reader:
                        size = reader.size
                stored = _StoredFile(archive, instance, size)
                if not self.deidentify:
                    contents.append(stored)
                    continue
                deidentifier = self._node.find(Deidentifier)
                made = deidentifier.deidentify(stored.pieces(), self.deidentify)
                contents.append(_DeidentifiedFile(await stack.enter_async_context(made)))
            yield contents


def split_by_series(
    inputs: Sequence[InferenceInput], each: str
) -> Mapping[str, Sequence[InferenceInput]]:
    """Return the inputs by request: all together, or by series."""
    found: dict[str, list[InferenceInput]] = {}
    for one in inputs:
        found.setdefault(one.series_uid if each == "series" else "", []).append(one)
    return found
