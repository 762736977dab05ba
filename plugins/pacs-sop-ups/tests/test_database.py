"""Procedure steps in a database: against a model, by several clients at once, and forgotten."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from pacs_database.testing import open_database
from pacs_jobs.database_queue import DatabaseJobQueue
from pacs_sop_ups.api import StepState
from pacs_sop_ups.config import UpsConfig
from pacs_sop_ups.database_steps import DatabaseProcedureSteps
from pacs_sop_ups.sop_classes import UPS_FILTERED, UPS_GLOBAL
from pacs_sop_ups.steps import LABEL, PATIENT_ID, REASON, TRANSACTION
from pacs_sop_ups.testing import performed_attributes, sample_attributes

from pacs_core.api.normalized import RefusedRequestError
from pacs_core.contracts import SingleValue
from pacs_core.dataset import tag_of

pytestmark = pytest.mark.anyio

CONFIG = UpsConfig()


@asynccontextmanager
async def open_steps(
    directory: Path, url: str, config: UpsConfig = CONFIG
) -> AsyncIterator[DatabaseProcedureSteps]:
    async with open_database(directory, url) as database:
        queue = DatabaseJobQueue(database)
        await queue.start()
        steps = DatabaseProcedureSteps(database, queue, config)
        await steps.start()
        yield steps


@pytest.fixture
async def steps(tmp_path: Path, database_url: str) -> AsyncIterator[DatabaseProcedureSteps]:
    async with open_steps(tmp_path, database_url) as steps:
        yield steps


async def outcome(steps: DatabaseProcedureSteps, uid: str, word: str, client: int) -> int:
    """Do something to a step as a client, who has a Transaction UID of its own."""
    transaction = f"1.2.3.{client}"
    try:
        if word == "create":
            made = await steps.create(uid, sample_attributes())
        elif word == "set":
            own = {**performed_attributes(), TRANSACTION: (transaction,)}
            made = await steps.change(uid, own)
        elif word == "cancel":
            made = await steps.request_cancel(uid, {})
        else:
            made = await steps.change_state(uid, word, transaction)
    except RefusedRequestError as error:
        return error.status
    return made.status


class Model:
    """A step, by Tables CC.1.1-2 and CC.2.5-3 as they are written in prose."""

    state = ""
    holder: int | None = None
    is_performed = False

    def expect(self, word: str, client: int) -> int:
        """Return the status of a request, and note what it does."""
        if word == "create":
            known, self.state = self.state, self.state or "SCHEDULED"
            return 0x0111 if known else 0
        if not self.state:
            return 0xC307
        return getattr(self, f"_{word.lower().replace(' ', '_')}")(client)  # type: ignore[no-any-return]

    def _scheduled(self, client: int) -> int:
        return 0xC303

    def _set(self, client: int) -> int:
        if self.state in ("COMPLETED", "CANCELED"):
            return 0xC300
        if self.state == "SCHEDULED":
            return 0xC310
        if client != self.holder:
            return 0xC301
        self.is_performed = True
        return 0

    def _cancel(self, client: int) -> int:
        if self.state == "SCHEDULED":
            self.state = "CANCELED"
            return 0
        return {"IN PROGRESS": 0xC312, "COMPLETED": 0xC311, "CANCELED": 0xB304}[self.state]

    def _in_progress(self, client: int) -> int:
        if self.state != "SCHEDULED":
            return 0xC302 if self.state == "IN PROGRESS" else 0xC300
        self.state, self.holder = "IN PROGRESS", client
        return 0

    def _end(self, client: int, wanted: str, already: int) -> int:
        if self.state == "SCHEDULED":
            return 0xC310
        if client != self.holder:
            return 0xC301
        if self.state != "IN PROGRESS":
            return already if self.state == wanted else 0xC300
        if wanted == "COMPLETED" and not self.is_performed:
            return 0xC304
        self.state = wanted
        return 0

    def _completed(self, client: int) -> int:
        return self._end(client, "COMPLETED", 0xB306)

    def _canceled(self, client: int) -> int:
        return self._end(client, "CANCELED", 0xB304)


WORDS = ["create", "set", "cancel", "SCHEDULED", "IN PROGRESS", "COMPLETED", "CANCELED"]
REQUESTS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from(WORDS), st.integers(0, 1)), max_size=14
)
few = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@few
@given(requests=REQUESTS)
async def test_one_request_after_the_other_is_answered_as_by_the_model(
    steps: DatabaseProcedureSteps, requests: list[tuple[int, str, int]]
) -> None:
    prefix = f"1.2.{time.monotonic_ns()}"
    models = [Model(), Model()]
    for which, word, client in requests:
        wanted = models[which].expect(word, client)
        assert await outcome(steps, f"{prefix}.{which}", word, client) == wanted, word
    for which, model in enumerate(models):
        if model.state:
            assert (await steps.find(f"{prefix}.{which}")).state == model.state


@few
@given(requests=st.lists(st.lists(st.sampled_from(WORDS), max_size=8), min_size=2, max_size=4))
async def test_several_clients_share_a_step_as_one_after_the_other(
    tmp_path: Path, database_url: str, steps: DatabaseProcedureSteps, requests: list[list[str]]
) -> None:
    """It is claimed once, and ended once: by who holds it, or by request before it is claimed."""
    uid = f"1.2.{time.monotonic_ns()}"
    taken: list[tuple[int, str]] = []

    async def work(client: int, own: list[str], steps: DatabaseProcedureSteps) -> None:
        taken.extend(
            [(client, word) for word in own if await outcome(steps, uid, word, client) == 0]
        )

    await outcome(steps, uid, "create", 0)
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(open_steps(tmp_path, database_url))
        async with anyio.create_task_group() as tasks:
            for client, own in enumerate(requests):
                tasks.start_soon(work, client, own, (steps, other)[client % 2])
    claims = [client for client, word in taken if word == "IN PROGRESS"]
    ends = [(client, word) for client, word in taken if word in ("COMPLETED", "CANCELED")]
    cancels = [word for _, word in taken if word == "cancel"]
    assert "create" not in [word for _, word in taken]
    assert len(claims) + len(cancels) <= 1
    assert len(ends) <= len(claims)
    assert {client for client, word in (*ends, *((c, w) for c, w in taken if w == "set"))} <= set(
        claims
    )
    step = await steps.find(uid)
    state = ends[0][1] if ends else ("CANCELED" if cancels else "")
    assert step.state == (state or ("IN PROGRESS" if claims else "SCHEDULED"))
    assert step.transaction_uid == (f"1.2.3.{claims[0]}" if claims else "")


async def test_steps_are_found_restricted_and_forgotten(steps: DatabaseProcedureSteps) -> None:
    for number in range(3):
        await steps.create(f"1.2.3.{number}", {**sample_attributes(), PATIENT_ID: (f"P{number}",)})
    assert await outcome(steps, "1.2.3.1", "cancel", 0) == 0

    async def uids(**wanted: object) -> list[str]:
        return [each.instance_uid async for each in steps.search(**wanted)]  # type: ignore[arg-type]

    own = SingleValue(PATIENT_ID, "P0")
    assert await uids() == ["1.2.3.2", "1.2.3.1", "1.2.3.0"]
    assert await uids(states=[StepState.CANCELED]) == ["1.2.3.1"]
    assert await uids(conditions=[own]) == await uids(restrictions=[own]) == ["1.2.3.0"]
    with pytest.raises(RefusedRequestError) as caught:
        await steps.create("1.2.3.9", sample_attributes(), restrictions=[own])
    assert caught.value.status == 0x0124
    with pytest.raises(RefusedRequestError) as caught:
        await steps.change("1.2.3.1", {LABEL: ("y",)}, restrictions=[own])
    assert caught.value.status == 0xC307
    now = time.time()
    assert await steps.forget(ended_before=now - 60) == 0
    assert await steps.forget(ended_before=now + 60) == 1
    assert await uids() == ["1.2.3.2", "1.2.3.0"]


async def test_of_64_who_claim_a_step_at_once_one_has_it(steps: DatabaseProcedureSteps) -> None:
    await outcome(steps, "1.2.64", "create", 0)
    answers: dict[int, int] = {}

    async def claim(client: int) -> None:
        answers[client] = await outcome(steps, "1.2.64", "IN PROGRESS", client)

    async with anyio.create_task_group() as tasks:
        for client in range(64):
            tasks.start_soon(claim, client)
    (winner,) = [client for client, status in answers.items() if status == 0]
    assert sorted(answers.values()) == [0] + [0xC302] * 63
    assert (await steps.find("1.2.64")).transaction_uid == f"1.2.3.{winner}"


async def told(steps: DatabaseProcedureSteps, receiver: str) -> list[tuple[str, int]]:
    """Take what a receiver is to be told, in order."""
    waiting = await steps.outbox.next(receiver)
    for each in waiting:
        await steps.outbox.remove(each.number)
    return [(each.instance_uid, int(each.event.kind)) for each in waiting]


async def test_who_follows_what(steps: DatabaseProcedureSteps) -> None:
    """PS3.4 CC.2.3.3: all, those that match, single ones, and none any more."""
    await outcome(steps, "1.2.1", "create", 0)
    assert await steps.subscribe(UPS_GLOBAL, "ALL", has_lock=True) == 0
    assert await steps.subscribe(UPS_FILTERED, "SOME", keys={PATIENT_ID: ("P*",)}) == 0
    assert await steps.subscribe("1.2.1", "ONE") == 0
    await steps.create("1.2.2", {**sample_attributes(), PATIENT_ID: ("P2",)})
    created = [("1.2.2", 1), ("1.2.2", 5)]
    assert await told(steps, "ALL") == [("1.2.1", 1), *created]
    assert await told(steps, "SOME") == created
    assert await told(steps, "ONE") == [("1.2.1", 1)]
    # A request to cancel what nobody has claimed is begun, and canceled (CC.2.2.3).
    await outcome(steps, "1.2.1", "cancel", 0)
    assert await told(steps, "ONE") == await told(steps, "ALL") == [("1.2.1", 1), ("1.2.1", 1)]
    assert await steps.unsubscribe("1.2.2", "ALL")
    assert await outcome(steps, "1.2.2", "IN PROGRESS", 0) == 0
    assert await outcome(steps, "1.2.2", "cancel", 1) == 0
    assert (await told(steps, "ALL"), await told(steps, "SOME")) == (
        [],
        [("1.2.2", 1), ("1.2.2", 2)],
    )
    assert [await steps.suspend(UPS_GLOBAL, "SOME") for _ in range(2)] == [True, False]
    await steps.create("1.2.3", {**sample_attributes(), PATIENT_ID: ("P3",)})
    assert await told(steps, "SOME") == []
    assert [await steps.unsubscribe(UPS_GLOBAL, "SOME") for _ in range(2)] == [True, False]
    assert await outcome(steps, "1.2.2", "CANCELED", 0) == 0
    assert await told(steps, "SOME") == []


async def test_a_receiver_that_subscribes_twice_at_once_is_told_once(
    tmp_path: Path, database_url: str, steps: DatabaseProcedureSteps
) -> None:
    uids = [f"1.2.{number}" for number in range(5)]
    for uid in uids:
        await outcome(steps, uid, "create", 0)
    async with open_steps(tmp_path, database_url) as other, anyio.create_task_group() as tasks:
        for each in (steps, other) * 4:
            tasks.start_soon(each.subscribe, UPS_GLOBAL, "WATCHER")
            tasks.start_soon(each.subscribe, uids[0], "ONE")
    assert sorted(await told(steps, "WATCHER")) == [(uid, 1) for uid in uids]
    assert await told(steps, "ONE") == [(uids[0], 1)] * 8
    assert await outcome(steps, uids[0], "cancel", 0) == 0
    assert await told(steps, "WATCHER") == await told(steps, "ONE") == [(uids[0], 1)] * 2


async def test_a_step_is_forgotten_when_nobody_locks_it_any_more(
    steps: DatabaseProcedureSteps,
) -> None:
    for uid in ("1.2.1", "1.2.2"):
        await outcome(steps, uid, "create", 0)
        await outcome(steps, uid, "cancel", 0)
        await steps.subscribe(uid, "WATCHER", has_lock=uid == "1.2.1")
    later = time.time() + 60
    assert await steps.forget(ended_before=later) == 1
    assert (await steps.find("1.2.1")).state == "CANCELED"
    assert await steps.unsubscribe(UPS_GLOBAL, "WATCHER")
    assert await steps.forget(ended_before=later) == 1
    assert await steps.outbox.drop(later) == 2
    steps.config = UpsConfig(deletion_locks=False)
    assert await steps.subscribe(UPS_GLOBAL, "WATCHER", has_lock=True) == 0xB301


async def test_who_takes_nothing_holds_nobody_up(
    steps: DatabaseProcedureSteps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacs_sop_ups.outbox._MOST_WAITING", 3)
    await steps.subscribe(UPS_GLOBAL, "DEAF")
    for number in range(5):
        assert await outcome(steps, f"1.2.{number}", "create", 0) == 0
    assert len(await told(steps, "DEAF")) == 2
    assert await outcome(steps, "1.2.1", "IN PROGRESS", 0) == 0
    assert await told(steps, "DEAF") == [("1.2.1", 1)]


async def test_no_more_steps_are_open_than_may_be(tmp_path: Path, database_url: str) -> None:
    async with open_steps(tmp_path, database_url, UpsConfig(max_open=2)) as steps:
        assert [await outcome(steps, f"1.2.{n}", "create", 0) for n in range(3)] == [0, 0, 0x0213]
        assert await outcome(steps, "1.2.0", "cancel", 0) == 0
        assert await outcome(steps, "1.2.2", "create", 0) == 0


async def test_a_performer_that_watches_its_steps_finds_who_wants_them_canceled(
    steps: DatabaseProcedureSteps,
) -> None:
    """PS3.4 CC.2.2.3: it need not follow them; without either, nobody could be asked (C312H)."""
    wanted = {REASON: ("no time",)}
    for uid, is_watched in (("1.2.1", True), ("1.2.2", False)):
        await steps.create(uid, sample_attributes())
        await steps.change_state(uid, StepState.IN_PROGRESS, "1.2.3.4", is_watched=is_watched)
    assert (await steps.find("1.2.1")).cancel_request is None
    made = await steps.request_cancel("1.2.1", wanted, requestor="PLANNER")
    assert (made.status, made.step.state) == (0, StepState.IN_PROGRESS)
    request = (await steps.find("1.2.1")).cancel_request
    assert request == {**wanted, tag_of("RequestingAE"): ("PLANNER",)}
    with pytest.raises(RefusedRequestError) as refused:
        await steps.request_cancel("1.2.2", wanted, requestor="PLANNER")
    assert refused.value.status == 0xC312
