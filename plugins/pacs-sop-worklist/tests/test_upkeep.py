"""Steps that images of their study begin: looked up seldom, and never too late."""

from typing import Any

import pytest
from attrs import define, evolve, field
from pacs_sop_worklist import upkeep
from pacs_sop_worklist.config import WorklistConfig
from pacs_sop_worklist.interface import ListedStep
from pacs_sop_worklist.steps import STUDY_UID, Step, StepState
from pacs_sop_worklist.upkeep import FollowStudies

from pacs_core.contracts import Change, ChangeKind, matches

pytestmark = pytest.mark.anyio


@define(eq=False)
class Listed:
    """A worklist as far as it is followed."""

    steps: dict[int, ListedStep] = field(factory=dict)
    looks: int = 0

    def put(self, study: str) -> None:
        number = len(self.steps) + 1
        step = Step({STUDY_UID: [study]})
        self.steps[number] = ListedStep(number, step, "test")

    async def search(self, conditions: Any) -> Any:
        self.looks += 1
        for each in list(self.steps.values()):
            if all(matches(condition, each.step.attributes) for condition in conditions):
                yield each

    async def set_state(self, number: int, state: StepState, **_: object) -> bool:
        listed = self.steps[number]
        self.steps[number] = evolve(listed, step=evolve(listed.step, state=state))
        return True

    @property
    def states(self) -> list[StepState]:
        return [each.step.state for each in self.steps.values()]


@define
class FakeNode:
    """A node that has nothing but a worklist."""

    worklist: Listed

    def find(self, _interface: type) -> Listed:
        return self.worklist


@pytest.fixture
def listed() -> Listed:
    return Listed()


@pytest.fixture
def follower(listed: Listed) -> FollowStudies:
    node: Any = FakeNode(listed)
    return FollowStudies(node, WorklistConfig())


def came(*studies: str, kind: ChangeKind = ChangeKind.ADDED) -> list[Change]:
    return [Change(number, kind, 0.0, study) for number, study in enumerate(studies, 1)]


async def test_the_first_image_of_a_study_begins_its_step(
    listed: Listed, follower: FollowStudies
) -> None:
    listed.put("1.1")
    listed.put("1.2")
    await follower.handle(came("1.1", "1.3"))
    assert listed.states == [StepState.STARTED, StepState.SCHEDULED]


async def test_a_study_is_not_looked_up_for_each_batch_of_its_images(
    listed: Listed, follower: FollowStudies
) -> None:
    for _ in range(5):
        await follower.handle(came("1.1", "1.1"))
    assert listed.looks == 1
    listed.put("1.2")
    await follower.handle(came("1.1", "1.2"))
    assert listed.states == [StepState.STARTED]


async def test_a_step_that_is_put_while_images_come_begins_with_a_later_one(
    listed: Listed, follower: FollowStudies, monkeypatch: pytest.MonkeyPatch
) -> None:
    await follower.handle(came("1.1"))
    listed.put("1.1")
    await follower.handle(came("1.1"))
    assert listed.states == [StepState.SCHEDULED]
    monkeypatch.setattr(upkeep, "LOOK_AGAIN", 0.0)
    await follower.handle(came("1.1"))
    assert listed.states == [StepState.STARTED]


async def test_a_complete_study_is_looked_up_whenever_its_images_came(
    listed: Listed, follower: FollowStudies
) -> None:
    await follower.handle(came("1.1"))
    listed.put("1.1")
    await follower.handle(came("1.1", kind=ChangeKind.STUDY_COMPLETE))
    assert listed.states != [StepState.SCHEDULED]


async def test_studies_that_are_remembered_are_bounded(
    listed: Listed, follower: FollowStudies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_REMEMBERED", 3)
    await follower.handle(came(*(f"1.{number}" for number in range(10))))
    await follower.handle(came("1.9", "1.7"))
    assert listed.looks == 1
    await follower.handle(came("1.1"))
    assert listed.looks == 2
