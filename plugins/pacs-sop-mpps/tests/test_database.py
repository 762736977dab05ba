"""Performed steps in a database: against a model, by several clients at once, and forgotten."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from pacs_database.api import Database
from pacs_database.testing import open_database
from pacs_jobs.api import JobQueue
from pacs_jobs.database_queue import DatabaseJobQueue
from pacs_sop_mpps.api import PerformedState
from pacs_sop_mpps.config import MppsConfig
from pacs_sop_mpps.database_steps import DatabasePerformedSteps
from pacs_sop_mpps.outbox import Channel, Message
from pacs_sop_mpps.steps import STATUS
from pacs_sop_mpps.testing import sample_attributes as full

from pacs_core.api.normalized import RefusedRequestError
from pacs_core.contracts import NodeSettings, Not, Peer, SingleValue
from pacs_core.dataset import tag_of

pytestmark = pytest.mark.anyio

RIS = Peer("RIS", "127.0.0.1", 104)
SETTINGS = NodeSettings(peers={"ris": RIS})
CONFIG = MppsConfig(forward=("ris",), notify=("ris",))
COMMENT = tag_of("CommentsOnThePerformedProcedureStep")
PATIENT, MODALITY = tag_of("PatientID"), tag_of("Modality")


@asynccontextmanager
async def open_steps(
    directory: Path, url: str, config: MppsConfig = CONFIG
) -> AsyncIterator[DatabasePerformedSteps]:
    async with open_database(directory, url) as database:
        yield await start(database, config)


async def start(database: Database, config: MppsConfig) -> DatabasePerformedSteps:
    queue: JobQueue = DatabaseJobQueue(database)
    await queue.start()
    steps = DatabasePerformedSteps(database, queue, config, lambda: SETTINGS)
    await steps.start()
    return steps


@pytest.fixture
async def steps(tmp_path: Path, database_url: str) -> AsyncIterator[DatabasePerformedSteps]:
    async with open_steps(tmp_path, database_url) as steps:
        yield steps


async def waiting(steps: DatabasePerformedSteps, channel: Channel, uid: str) -> list[Message]:
    """Take all messages for the peer out of the outbox."""
    found = []
    while message := await steps.outbox.next(channel, "ris", uid):
        found.append(message)
        await steps.outbox.remove(message.number)
    return found


async def outcome(steps: DatabasePerformedSteps, uid: str, word: str, comment: str) -> int:
    """Create a step, or set its status, or its comment alone; return the status."""
    try:
        if word == "create":
            await steps.create(uid, full())
        else:
            status = {} if word == "set" else {STATUS: (word,)}
            await steps.change(uid, {**status, COMMENT: (comment,)})
    except RefusedRequestError as error:
        return error.status
    return 0


WORDS = ["create", "set", "IN PROGRESS", "COMPLETED", "DISCONTINUED", "WAITING"]
REQUESTS = st.lists(st.tuples(st.integers(0, 1), st.sampled_from(WORDS)), min_size=1, max_size=12)
few = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def expect(model: dict[str, str], uid: str, word: str) -> int:
    """Return the status of a request by PS3.4 F.7.2, and note what it does."""
    if word == "create":
        known = uid in model
        model.setdefault(uid, "IN PROGRESS")
        return 0x0111 if known else 0
    if uid not in model:
        return 0x0112
    if model[uid] != "IN PROGRESS":
        return 0x0110
    if word == "WAITING":
        return 0x0106
    model[uid] = model[uid] if word == "set" else word
    return 0


@few
@given(requests=REQUESTS)
async def test_one_request_after_the_other_is_answered_as_by_the_model(
    steps: DatabasePerformedSteps, requests: list[tuple[int, str]]
) -> None:
    prefix = f"1.2.{time.monotonic_ns()}"
    model: dict[str, str] = {}
    for number, (which, word) in enumerate(requests):
        uid = f"{prefix}.{which}"
        wanted = expect(model, uid, word)
        assert await outcome(steps, uid, word, f"c{number}") == wanted
    for uid, state in model.items():
        assert (await steps.find(uid)).state == state


@few
@given(requests=st.lists(REQUESTS, min_size=2, max_size=4))
async def test_several_clients_lose_no_update(
    tmp_path: Path,
    database_url: str,
    steps: DatabasePerformedSteps,
    requests: list[list[tuple[int, str]]],
) -> None:
    """Of each step: created once, ended once, and nothing after; what is told is what was done."""
    prefix = f"1.2.{time.monotonic_ns()}"
    done: dict[str, list[tuple[str, int, str]]] = {f"{prefix}.{n}": [] for n in range(2)}

    async def work(client: int, own: list[tuple[int, str]], steps: DatabasePerformedSteps) -> None:
        for number, (which, word) in enumerate(own):
            uid, comment = f"{prefix}.{which}", f"{client}/{number}"
            done[uid].append((word, await outcome(steps, uid, word, comment), comment))

    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(open_steps(tmp_path, database_url))
        async with anyio.create_task_group() as tasks:
            for client, own in enumerate(requests):
                tasks.start_soon(work, client, own, (steps, other)[client % 2])
    for uid, answers in done.items():
        taken = [(word, comment) for word, status, comment in answers if status == 0]
        told = await waiting(steps, Channel.FORWARD, uid)
        creations = [word for word, _ in taken if word == "create"]
        ends = [word for word, _ in taken if word in ("COMPLETED", "DISCONTINUED")]
        assert len(creations) == ("create" in [word for word, _, _ in answers])
        assert len(ends) <= 1
        assert len(told) == len(taken)
        if not taken:
            continue
        step = await steps.find(uid)
        assert step.state == (ends or ["IN PROGRESS"])[0]
        assert told[0].operation == "create"
        sets = [message.attributes for message in told[1:]]
        comments = [comment for word, comment in taken if word != "create"]
        assert sorted(s[COMMENT][0] for s in sets) == sorted(comments)
        if sets:
            assert step.attributes[COMMENT] == sets[-1][COMMENT]
        if ends:
            assert sets[-1][STATUS] == (ends[0],)


async def test_what_is_refused_leaves_nothing_behind(steps: DatabasePerformedSteps) -> None:
    await steps.create("1.2.3", full())
    for _ in range(2):
        with pytest.raises(RefusedRequestError):
            await steps.create("1.2.3", full())
        with pytest.raises(RefusedRequestError):
            await steps.change("1.2.3", {STATUS: ("WAITING",)})
    told = [await waiting(steps, c, "1.2.3") for c in Channel]
    assert [[message.operation for message in each] for each in told] == [["create"], ["event"]]
    assert len([job async for job in steps.queue.jobs()]) == 2


async def test_steps_are_found(steps: DatabasePerformedSteps) -> None:
    for number in range(3):
        await steps.create(f"1.2.3.{number}", {**full(), PATIENT: (f"P{number}",)})
    await steps.change("1.2.3.1", {STATUS: ("COMPLETED",)})

    async def uids(**wanted: object) -> list[str]:
        return [each.instance_uid async for each in steps.search(**wanted)]  # type: ignore[arg-type]

    assert await uids() == ["1.2.3.2", "1.2.3.1", "1.2.3.0"]
    assert await uids(state=PerformedState.COMPLETED) == ["1.2.3.1"]
    assert await uids(conditions=[SingleValue(PATIENT, "P0")]) == ["1.2.3.0"]
    assert len(await uids(study="1.2.3")) == 3
    assert await uids(study="1.2.9") == []


async def test_old_steps_are_forgotten_and_that_is_told(steps: DatabasePerformedSteps) -> None:
    for number in range(3):
        await steps.create(f"1.2.3.{number}", full())
    await steps.change("1.2.3.0", {STATUS: ("COMPLETED",)})
    now = time.time()
    assert await steps.forget(ended_before=now - 60, in_progress_before=now - 60) == 0
    assert await steps.forget(ended_before=now + 60, in_progress_before=now - 60) == 1
    with pytest.raises(KeyError):
        await steps.find("1.2.3.0")
    assert await waiting(steps, Channel.FORWARD, "1.2.3.0") == []
    told = await waiting(steps, Channel.NOTIFY, "1.2.3.0")
    assert [message.event_type for message in told] == [5]
    assert await steps.forget(ended_before=now, in_progress_before=now + 60) == 2


async def test_no_more_steps_are_in_progress_than_may_be(tmp_path: Path, database_url: str) -> None:
    async with open_steps(tmp_path, database_url, MppsConfig(max_in_progress=2)) as steps:
        assert [await outcome(steps, f"1.2.{n}", "create", "") for n in range(3)] == [0, 0, 0x0213]
        assert await outcome(steps, "1.2.0", "DISCONTINUED", "") == 0
        assert await outcome(steps, "1.2.2", "create", "") == 0


async def test_hostile_text_is_kept_as_it_came(steps: DatabasePerformedSteps) -> None:
    text = "'; DROP TABLE mpps_steps; --\0"
    await steps.create("1.2.3", {**full(), PATIENT: (text,)})
    assert (await steps.find("1.2.3")).attributes[PATIENT] == (text,)


async def test_a_step_whose_messages_nobody_takes_is_changed_no_more(
    steps: DatabasePerformedSteps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacs_sop_mpps.outbox._MOST_WAITING", 5)
    statuses = [await outcome(steps, "1.2.3", word, "") for word in ("create", "set", "set", "set")]
    assert statuses == [0, 0, 0x0213, 0x0213]
    assert len(await waiting(steps, Channel.FORWARD, "1.2.3")) == 2
    assert await outcome(steps, "1.2.3", "COMPLETED", "") == 0


async def test_a_step_exists_for_whoever_may_see_its_images(steps: DatabasePerformedSteps) -> None:
    ct, mr = SingleValue(MODALITY, "CT"), SingleValue(MODALITY, "MR")
    with pytest.raises(RefusedRequestError) as caught:
        await steps.create("1.2.3", full(), restrictions=[mr])
    assert caught.value.status == 0x0124
    await steps.create("1.2.3", full(), restrictions=[ct])
    with pytest.raises(RefusedRequestError) as caught:
        await steps.change("1.2.3", {COMMENT: ("x",)}, restrictions=[mr])
    assert caught.value.status == 0x0112
    with pytest.raises(KeyError):
        await steps.find("1.2.3", restrictions=[ct, mr])
    assert [each async for each in steps.search(restrictions=[mr])] == []
    assert len([each async for each in steps.search(restrictions=[ct])]) == 1
    own = SingleValue(tag_of("StudyInstanceUID"), "1.2.3")
    assert (await steps.find("1.2.3", restrictions=[own, Not(mr)])).state == "IN PROGRESS"
