"""The suite for deletion guards: a sound guard passes all of it, and no fault gets through."""

import pytest

from pacs_core.contracts import DeletionGuard, DeletionGuardDescriptor
from pacs_core.testing.deletion_guard_contract import DeletionGuardContract
from pacs_core.testing.memory_guard import MemoryDeletionGuard

pytestmark = pytest.mark.anyio


class TestMemoryGuard(DeletionGuardContract):
    @pytest.fixture
    def descriptor(self):
        return DeletionGuardDescriptor("memory", lambda node: MemoryDeletionGuard())

    async def hold(self, guard, instance):
        guard.holds[instance.identity.sop_instance_uid] = "evidence in a lawsuit"


class HoldsAll(DeletionGuard):
    async def find_holds(self, instances, origin):
        return {each.identity.sop_instance_uid: "all of it" for each in instances}


class HoldsNothing(DeletionGuard):
    async def find_holds(self, instances, origin):
        return {}


class ByKey(HoldsNothing):
    def __init__(self):
        self.keys = set()

    async def find_holds(self, instances, origin):
        return {i.identity.sop_instance_uid: "so" for i in instances if i.key in self.keys}


class SaysNoReason(MemoryDeletionGuard):
    async def find_holds(self, instances, origin):
        return dict.fromkeys(await super().find_holds(instances, origin), " ")


@pytest.mark.parametrize(
    ("made", "test"),
    [
        (HoldsAll, "test_what_is_not_held_may_go"),
        (HoldsNothing, "test_what_is_held_is_named_with_a_reason"),
        (HoldsNothing, "test_an_archive_keeps_what_is_held"),
        (HoldsAll, "test_one_of_many"),
        (ByKey, "test_another_content_of_a_held_instance_is_held"),
        (SaysNoReason, "test_what_is_held_is_named_with_a_reason"),
    ],
)
async def test_faults_are_found(made, test):
    class Suite(DeletionGuardContract):
        async def hold(self, guard, instance):
            if isinstance(guard, ByKey):
                guard.keys.add(instance.key)
            elif isinstance(guard, MemoryDeletionGuard):
                guard.holds[instance.identity.sop_instance_uid] = "so"

    with pytest.raises((AssertionError, pytest.fail.Exception)):
        await getattr(Suite(), test)(made())
