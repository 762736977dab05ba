"""C-GET with several sub-operations outstanding, where the requestor has agreed (PS3.7 D.3.3.3)."""

import anyio
import pytest

from pacs_core.association import AssociationOptions, Proposal, connect
from pacs_core.dataset import tag_of
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_thread
from pacs_core.testing.transfers import STUDY_ROOT_GET, store_dataset
from pacs_core.upper_layer import AsynchronousOperations

pytestmark = pytest.mark.anyio

COUNT = 7


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """A node, and the instances of a study that it holds."""
    study = SampleStudy()
    instances = [study.make("CT") for _ in range(COUNT)]
    with node_thread(tmp_path_factory.mktemp("node")) as node:
        for each in instances:
            node.call(
                store_dataset, node.peer, each.sop_class_uid, each.sop_instance_uid, each.encode()
            )
        yield node, study, instances


class Receiver:
    """Answers when so many sub-operations are under way, or as many as are left."""

    def __init__(self, together, status=0x0000):
        self.together, self.status = together, status
        self.under_way, self.most, self.received = 0, 0, []
        self._more = anyio.Condition()

    async def receive(self, operation):
        data = b"".join([bytes(chunk) async for chunk in operation.dataset])
        self.received.append((operation.command.affected_sop_instance_uid, data))
        async with self._more:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            self._more.notify_all()
            while self.most < self.together:
                await self._more.wait()
            self.under_way -= 1
        return self.status


async def get(held, window, receiver):
    node, study, instances = held
    identifier = {
        tag_of("QueryRetrieveLevel"): ("STUDY",),
        tag_of("StudyInstanceUID"): (study.study_instance_uid,),
    }
    proposals = [
        Proposal(STUDY_ROOT_GET),
        Proposal(instances[0].sop_class_uid, scu=False, scp=True),
    ]
    options = AssociationOptions(operations=window)
    with anyio.fail_after(60):
        async with connect(node.peer, proposals, options=options) as association:
            responses = association.c_get(STUDY_ROOT_GET, identifier, receiver.receive)
            final = [response async for response, _ in responses][-1]
    completed = final.number_of_completed_suboperations
    return final.status, completed, final.number_of_failed_suboperations


async def test_as_many_are_on_their_way_as_was_agreed(held):
    """None is answered before the third has arrived, and never is there a fourth."""
    receiver = Receiver(3)
    final = await get(held, AsynchronousOperations(1, 3), receiver)
    assert final == (0x0000, COUNT, 0)
    assert receiver.most == 3
    _, _, instances = held
    expected = {each.sop_instance_uid for each in instances}
    assert {uid for uid, _ in receiver.received} == expected


async def test_each_has_its_own_result(held):
    receiver = Receiver(4, status=0xA700)
    final = await get(held, AsynchronousOperations(1, 4), receiver)
    assert final == (0xA702, 0, COUNT)


async def test_one_after_the_other_where_nothing_was_agreed(held):
    receiver = Receiver(1)
    final = await get(held, None, receiver)
    assert (final, receiver.most) == ((0x0000, COUNT, 0), 1)
