"""Observers are told of every operation, in both directions."""

import anyio
import pytest
from attrs import define, field

from pacs_core.association import AssociationAbortedError, Proposal, connect
from pacs_core.contracts import OperationObserver, OperationObservers
from pacs_core.dataset import encode_attributes, tag_of
from pacs_core.dimse import CommandField
from pacs_core.testing.node import node_thread

pytestmark = pytest.mark.anyio

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
FIND, GET = "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.3"
STUDY = {tag_of("QueryRetrieveLevel"): ("STUDY",), tag_of("StudyInstanceUID"): ("1.2.7",)}


@define
class Notes(OperationObserver):
    running: int = 0
    ends: list = field(factory=list)

    def began(self, operation):
        self.running += 1

    def ended(self, operation, end):
        self.running -= 1
        self.ends.append((operation.command.field, operation.is_invoked_here, end))
        raise ZeroDivisionError  # which harms nobody


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    unobserved = {"plugins": {"disabled": ["web-ui"]}}  # which counts operations for its charts
    with node_thread(tmp_path_factory.mktemp("observed"), tables=unobserved) as node:
        yield node


@pytest.fixture
def notes(node):
    notes = Notes()
    operations = node.node.opened.node.operations
    node.call(operations.add, notes)
    yield notes
    node.call(operations.remove, notes)
    assert not operations


def dataset(number, size=0):
    values = {
        "SOPClassUID": CT,
        "SOPInstanceUID": f"1.2.7.{number}",
        "StudyInstanceUID": "1.2.7",
        "SeriesInstanceUID": "1.2.7.1",
        "PatientID": "OBSERVED",
        "ImageComments": "x" * size,
    }
    return encode_attributes({tag_of(name): (text,) for name, text in values.items()}, EXPLICIT)


async def store(association, number, size=0):
    data = dataset(number, size)
    return (await association.c_store(CT, f"1.2.7.{number}", data)).status, len(data)


async def test_what_peers_ask_for(node, notes):
    async with connect(node.peer, [Proposal(CT, (EXPLICIT,)), Proposal(FIND)]) as association:
        status, size = await store(association, 1)
        refused = await association.c_store(CT, "1.2.7.99", dataset(1))
        found = [
            answer async for _, answer in association.c_find(FIND, STUDY) if answer is not None
        ]
    stored, mismatch, query = notes.ends
    assert (stored[0], stored[1]) == (CommandField.C_STORE_RQ, False)
    assert (stored[2].status, stored[2].bytes_received, stored[2].bytes_sent) == (status, size, 0)
    assert stored[2].seconds > 0
    assert mismatch[2].status == refused.status == 0xA900
    assert query[0] is CommandField.C_FIND_RQ
    assert query[2].status == 0x0000
    assert len(found) == 1
    assert query[2].bytes_received > 20
    assert query[2].bytes_sent > 20
    assert notes.running == 0


async def test_sub_operations_are_operations_of_this_node(node, notes):
    async with connect(node.peer, [Proposal(CT, (EXPLICIT,))]) as association:
        _, size = await store(association, 1)
    notes.ends.clear()
    proposals = [Proposal(GET), Proposal(CT, (EXPLICIT,), scu=False, scp=True)]

    async def receive(operation):
        async for _ in operation.dataset:
            pass
        return 0xB000

    async with connect(node.peer, proposals) as association:
        async for _ in association.c_get(GET, STUDY, receive):
            pass
    store_end, get_end = notes.ends
    assert (store_end[0], store_end[1]) == (CommandField.C_STORE_RQ, True)
    assert (store_end[2].status, store_end[2].bytes_sent) == (0xB000, size)
    assert (get_end[0], get_end[1]) == (CommandField.C_GET_RQ, False)


async def test_the_requestor_is_told_of_its_own(node):
    notes, operations = Notes(), OperationObservers()
    operations.add(notes)

    async def chunks():
        data = dataset(2, 5000)
        for start in range(0, len(data), 1000):
            yield data[start : start + 1000]

    proposals = [Proposal(CT, (EXPLICIT,)), Proposal(FIND)]
    async with connect(node.peer, proposals, observers=operations) as association:
        await association.c_store(CT, "1.2.7.2", chunks())
        async for _ in association.c_find(FIND, STUDY):
            pass
    stored, query = notes.ends
    assert (stored[1], stored[2].status) == (True, 0x0000)
    assert stored[2].bytes_sent == len(dataset(2, 5000))
    assert query[2].bytes_received > 20


async def test_an_association_that_ends_ends_its_operations_without_a_status(node, notes):
    async def half():
        yield dataset(3)[:40]
        raise EOFError

    async with connect(node.peer, [Proposal(CT, (EXPLICIT,))]) as association:
        with pytest.raises((EOFError, AssociationAbortedError)):
            await association.c_store(CT, "1.2.7.3", half())
    with anyio.fail_after(60):
        while notes.running:  # noqa: ASYNC110
            await anyio.sleep(0.02)
    assert all(end.status is None for _, _, end in notes.ends)


async def test_an_observer_that_comes_late_is_told_of_what_begins_from_then_on(node):
    notes, operations = Notes(), node.node.opened.node.operations
    async with connect(node.peer, [Proposal(CT, (EXPLICIT,))]) as association:
        await store(association, 1)
        node.call(operations.add, notes)
        await store(association, 1)
        node.call(operations.remove, notes)
        await store(association, 1)
    assert len(notes.ends) == 1
