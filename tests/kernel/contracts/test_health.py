"""Health checks: in time or a problem, never twice at once, and none that takes others along."""

import anyio
import pytest
from attrs import define

from pacs_core.contracts import HealthCheck, HealthChecks

pytestmark = pytest.mark.anyio


@define(eq=False)
class Part(HealthCheck):
    name: str
    answer: str | Exception = ""
    hangs: bool = False
    asked: int = 0

    async def check(self):
        self.asked += 1
        while self.hangs:
            # As a thread in a dead file system: not to be cancelled.
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.01)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_what_fails_raises_or_hangs_is_a_problem_of_that_part_alone():
    checks = HealthChecks()
    dead, lost = Part("store", hangs=True), Part("index", OSError("no such file"))
    for part in (dead, lost, Part("room", "full"), Part("jobs")):
        checks.add(part)
    found = {each.name: each.problem for each in await checks.run(0.1)}
    assert found == {
        "store": "no answer within 0.1 s",
        "index": "the check failed: no such file",
        "room": "full",
        "jobs": "",
    }
    await checks.run(0.1)
    assert (dead.asked, lost.asked) == (1, 2)

    dead.hangs = False
    assert (await checks.run(5))[0].problem == ""
    assert dead.asked == 1
    await checks.run(5)
    assert dead.asked == 2


async def test_one_that_hangs_is_waited_for_once_and_each_has_a_deadline_of_its_own():
    class Hurried(Part):
        deadline = 0.05

    checks = HealthChecks()
    dead, hurried, room = Part("store", hangs=True), Hurried("index", hangs=True), Part("room")
    for part in (dead, hurried, room):
        checks.add(part)
    first = await checks.run(0.3)
    assert [each.problem for each in first] == [
        "no answer within 0.3 s",
        "no answer within 0.05 s",
        "",
    ]
    with anyio.fail_after(30):  # and not for a minute
        second = await checks.run(0.3), await checks.run(0.3)
    for found in second:
        assert [bool(each.problem) for each in found] == [True, True, False]
        assert found[0].seconds >= 0.3
    assert (dead.asked, hurried.asked, room.asked) == (1, 1, 3)
    dead.hangs = hurried.hangs = False
    await checks.run(5)


async def test_who_has_left_is_not_asked():
    checks, part = HealthChecks(), Part("jobs")
    checks.add(part)
    checks.remove(part)
    checks.remove(part)
    assert list(await checks.run(1)) == []
