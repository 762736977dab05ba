# ruff: noqa: D102 - the names of the tests are their documentation
"""The contract of ingest filters as tests: inherit, and say how a filter is made.

Example
-------
::

    class TestSite(IngestFilterContract):
        @pytest.fixture
        def descriptor(self) -> IngestFilterDescriptor:
            return pacs_ingest_filters(Setup(NodeSettings()))[0]
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import anyio
import pytest

from pacs_core.contracts import (
    Edit,
    FilterVerdict,
    IncomingHeader,
    IngestFilter,
    IngestFilterDescriptor,
    InstanceIdentity,
    Node,
    NodeSettings,
)
from pacs_core.dataset import (
    DataElement,
    DatasetEditor,
    ElementSet,
    Modification,
    keyword_of,
    read_elements,
    tag_of,
)
from pacs_core.dimse import is_valid_uid
from pacs_core.testing.datasets import MODALITIES, SampleStudy
from pacs_core.testing.event_handler_contract import HOSTILE_VALUES, ORIGIN
from pacs_core.testing.operations import memory_node
from pacs_core.testing.sample_values import Values

EXPLICIT: Final = "1.2.840.10008.1.2.1"
_UIDS: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")


def header_in(dataset: bytes) -> IncomingHeader:
    """Return what a filter judges of a dataset in Explicit VR Little Endian."""
    elements = read_elements(dataset, EXPLICIT)
    uids = ["".join(elements.texts(tag_of(word))) for word in _UIDS]
    return IncomingHeader(InstanceIdentity(*uids), EXPLICIT, elements)


def incoming_header(modality: str = "CT", values: Values | None = None) -> IncomingHeader:
    """Return the header of a sample instance; `values` replace attributes."""
    return header_in(SampleStudy().make(modality, **(values or {})).encode(EXPLICIT))


class IngestFilterContract:
    """What every ingest filter must do: judge whatever arrives, so that it can be carried out.

    Subclass it in a test module, and define the fixture ``descriptor``.
    """

    pytestmark = pytest.mark.anyio

    @pytest.fixture
    def descriptor(self) -> IngestFilterDescriptor:
        """Return the descriptor of the filter."""
        raise NotImplementedError("define the fixture `descriptor`")

    @pytest.fixture
    def node(self, tmp_path: Path) -> Node:
        """Return the node that the filter is created for."""
        return memory_node(NodeSettings(data_directory=tmp_path))

    @pytest.fixture
    async def filter(
        self, descriptor: IngestFilterDescriptor, node: Node, anyio_backend: Any
    ) -> AsyncIterator[IngestFilter]:
        """Return the filter, started."""
        made = descriptor.create(node)
        await made.start()
        yield made
        await made.stop()

    async def _judge(self, filter: IngestFilter, header: IncomingHeader) -> FilterVerdict:  # noqa: A002
        verdict = await filter.judge(header, ORIGIN)
        assert isinstance(verdict, FilterVerdict)
        return verdict

    async def test_creating_gives_a_filter_each_time(
        self, descriptor: IngestFilterDescriptor, node: Node
    ) -> None:
        assert descriptor.name
        first, second = descriptor.create(node), descriptor.create(node)
        assert isinstance(first, IngestFilter)
        assert first is not second

    async def test_stopping_what_was_not_started(
        self, descriptor: IngestFilterDescriptor, node: Node
    ) -> None:
        await descriptor.create(node).stop()

    @pytest.mark.parametrize("modality", MODALITIES)
    async def test_edits_can_be_carried_out(self, filter: IngestFilter, modality: str) -> None:  # noqa: A002
        """What comes out is the dataset with what was changed, and still names its instance."""
        dataset = SampleStudy().make(modality).encode(EXPLICIT)
        verdict = await self._judge(filter, header_in(dataset))
        if not isinstance(verdict, Edit):
            return
        modification = Modification(0.0, "PACS", "", verdict.reason) if verdict.reason else None
        editor = DatasetEditor(EXPLICIT, verdict.changes, modification)
        edited = header_in(b"".join([*editor.feed(dataset), *editor.finish()]))
        for tag, values in verdict.changes.items():
            assert (tag in edited.elements.elements) is (values is not None), keyword_of(tag)
        for word in _UIDS:
            (uid,) = edited.texts(tag_of(word))
            assert is_valid_uid(uid)

    async def test_an_instance_that_says_nothing_but_who_it_is(self, filter: IngestFilter) -> None:  # noqa: A002
        header = incoming_header()
        kept = {tag_of(word) for word in _UIDS}
        elements: dict[int, DataElement] = {e.tag: e for e in header.elements if e.tag in kept}
        await self._judge(filter, IncomingHeader(header.identity, EXPLICIT, ElementSet(elements)))

    @pytest.mark.parametrize("fault", sorted(HOSTILE_VALUES.keys() - {"surrogate", "several"}))
    async def test_hostile_attributes(self, filter: IngestFilter, fault: str) -> None:  # noqa: A002
        value = HOSTILE_VALUES[fault][:65_000]  # what a header of 16 bits can tell
        words = ("PatientName", "PatientID", "StudyDescription", "InstitutionName")
        await self._judge(filter, incoming_header(values=dict.fromkeys(words, value)))

    async def test_what_is_sent_again_gets_the_same_verdict(self, filter: IngestFilter) -> None:  # noqa: A002
        """Else it would be another instance each time, or a conflict."""
        header = incoming_header()
        assert await self._judge(filter, header) == await self._judge(filter, header)

    async def test_many_are_judged_at_once(self, filter: IngestFilter) -> None:  # noqa: A002
        async with anyio.create_task_group() as tasks:
            for modality in MODALITIES:
                tasks.start_soon(self._judge, filter, incoming_header(modality))

    async def test_a_cancelled_call_is_followed_by_others(self, filter: IngestFilter) -> None:  # noqa: A002
        """A call that takes too long is cancelled; the next instance comes nevertheless."""
        header = incoming_header()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(filter.judge, header, ORIGIN)
            await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        await self._judge(filter, header)
