"""Damage on disk, seen from outside: never delivered, listed as failed, healed by a resend.

PS3.4 C.4.2.1.5, C.4.3.1.4: a sub-operation that fails is a failed one, and is in the list.
"""

import json
import random
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count

import anyio
import pytest
from attrs import evolve
from pydicom import dcmread
from xxhash import xxh3_128_digest

from pacs_core.archive.fixity import CREATOR_UID
from pacs_core.association import AssociationError, Proposal, connect
from pacs_core.cli.main import main
from pacs_core.contracts import Timeouts
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    DatasetRecoder,
    encode_attributes,
    tag_of,
    texts,
)
from pacs_core.testing.node import node_thread

pytestmark = pytest.mark.anyio

CT = "1.2.840.10008.5.1.4.1.1.2"
STUDY_MOVE, STUDY_GET = "1.2.840.10008.5.1.4.1.2.2.2", "1.2.840.10008.5.1.4.1.2.2.3"
EXPLICIT, IMPLICIT = EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
STUDY = "1.2.826.0.7"
UIDS = [f"{STUDY}.1.{number}" for number in range(1, 5)]
FAILED = tag_of("FailedSOPInstanceUIDList")
IDENTIFIER = {tag_of("QueryRetrieveLevel"): ("STUDY",), tag_of("StudyInstanceUID"): (STUDY,)}
POLICIES = ("keep-first", "replace", "reject")


def instance(uid, size=200_000):
    values = {
        "SOPClassUID": CT,
        "SOPInstanceUID": uid,
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": f"{STUDY}.1",
        "PatientName": "Fixity^Test",
        "InstanceNumber": uid.rpartition(".")[2],
    }
    head = encode_attributes({tag_of(name): (text,) for name, text in values.items()}, EXPLICIT)
    pixels = random.Random(uid).randbytes(size)
    return head + b"\xe0\x7f\x10\x00OW\0\0" + size.to_bytes(4, "little") + pixels


DATASETS = {uid: instance(uid) for uid in UIDS}


def flip(data):
    return data[:-1000] + bytes([data[-1000] ^ 4]) + data[-999:]


DECAY = {
    "flipped byte": flip,
    "flipped name": lambda data: data.replace(b"Fixity^Test", b"Fixity^Tesu"),
    "cut short": lambda data: data[:-4096],
    "cut to a page": lambda data: data[:4096],
    "zeroed block": lambda data: data[:8192] + bytes(4096) + data[12288:],
    "longer": lambda data: data + bytes(2),
}


def path_of(folder, uid):
    """Return where the latest object of an instance lies."""
    return max((folder / "objects").rglob(f"{uid}*.dcm"), key=lambda path: path.stat().st_mtime_ns)


def decay(folder, uid, how=flip):
    path = path_of(folder, uid)
    before = path.read_bytes()
    path.chmod(0o640)
    path.write_bytes(how(before))
    assert path.read_bytes() != before


async def store(peer, datasets):
    async with connect(peer, [Proposal(CT, (EXPLICIT,))]) as association:
        responses = [await association.c_store(CT, uid, data) for uid, data in datasets.items()]
    return [response.status for response in responses]


async def get(peer, syntax=EXPLICIT):
    received = {}

    async def receive(operation):
        data = await operation.dataset.read(1 << 24)
        received[operation.command.affected_sop_instance_uid] = data
        return 0x0000

    proposals = [Proposal(STUDY_GET, (EXPLICIT,)), Proposal(CT, (syntax,), scu=True, scp=True)]
    async with connect(peer, proposals) as association:
        async for last in association.c_get(STUDY_GET, IDENTIFIER, receive):
            final, identifier = last
    return final, set(texts(identifier or {}, FAILED)), received


@contextmanager
def destination(folder, syntaxes):
    node = {"port": 0, "data_directory": str(folder), "ae_title": "TARGET"}
    taken = {"sop-storage": {"transfer_syntaxes": list(syntaxes)}}
    with node_thread(folder, {"node": node, "plugin": taken}) as target:
        yield target, {"ae_title": "TARGET", "host": "127.0.0.1", "port": target.port}


async def move(peer, target):
    async with connect(peer, [Proposal(STUDY_MOVE, (EXPLICIT,))]) as association:
        async for last in association.c_move(STUDY_MOVE, IDENTIFIER, "TARGET"):
            final, identifier = last
    return final, set(texts(identifier or {}, FAILED)), (await get(target))[2]


async def pacs(*arguments):
    return await anyio.to_thread.run_sync(main, [str(argument) for argument in arguments])


def recoded(data):
    recoder = DatasetRecoder(EXPLICIT, IMPLICIT)
    return b"".join([*recoder.feed(data), *recoder.finish()])


def audited(folder, kind):
    lines = (folder / "audit" / "audit.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if kind in event.values()]


@pytest.mark.parametrize("how", DECAY.values(), ids=DECAY)
@pytest.mark.parametrize("door", ["get", "get converted", "move", "move converted"])
async def test_what_is_damaged_is_not_delivered_and_heals(tmp_path, how, door):
    bad, *good = UIDS
    syntax = IMPLICIT if "converted" in door else EXPLICIT
    expected = DATASETS
    if syntax == IMPLICIT:
        expected = {uid: recoded(data) for uid, data in DATASETS.items()}
    with ExitStack() as stack:
        target, address = stack.enter_context(destination(tmp_path / "target", [syntax]))
        node = stack.enter_context(node_thread(tmp_path, {"peers": {"target": address}}))
        retrieve = (
            partial(get, node.peer, syntax)
            if "get" in door
            else partial(_move_and_get, node.peer, target.peer, syntax)
        )
        assert await store(node.peer, DATASETS) == [0x0000] * 4
        decay(tmp_path, bad, how)
        final, failed, received = await retrieve()
        assert (final.status, failed) == (0xB000, {bad})
        assert "damaged" in final.error_comment
        assert received == {uid: expected[uid] for uid in good}
        assert await store(node.peer, {bad: DATASETS[bad]}) == [0x0000]
        final, failed, received = await retrieve()
        assert (final.status, failed, received) == (0x0000, set(), expected)
    assert audited(tmp_path, "instance-damaged")
    (healed,) = audited(tmp_path, "instance-healed")
    assert bad in json.dumps(healed)
    assert path_of(tmp_path, bad).read_bytes().endswith(DATASETS[bad])


async def _move_and_get(peer, target, syntax):
    final, failed, _ = await move(peer, target)
    return final, failed, (await get(target, syntax))[2]


async def test_nothing_but_damage_is_a702(tmp_path):
    """PS3.4 Table C.4-2: unable to perform sub-operations."""
    with node_thread(tmp_path) as node:
        await store(node.peer, {UIDS[0]: DATASETS[UIDS[0]]})
        decay(tmp_path, UIDS[0])
        final, failed, received = await get(node.peer)
    assert (final.status, failed, received) == (0xA702, {UIDS[0]}, {})


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("durability", ["commit", "write-behind", "none"])
async def test_a_resend_heals_under_every_policy(tmp_path, policy, durability):
    tables = {"archive": {"duplicates": policy, "durability": durability}}
    with node_thread(tmp_path, tables) as node:
        await store(node.peer, DATASETS)
        for uid, how in zip(UIDS, DECAY.values(), strict=False):
            decay(tmp_path, uid, how)
        assert (await get(node.peer))[2] == {}
        assert await store(node.peer, DATASETS) == [0x0000] * 4
        assert (await get(node.peer))[2] == DATASETS
        assert await store(node.peer, DATASETS) == [0x0000] * 4
    assert len([*(tmp_path / "objects").rglob("*.dcm")]) == 4
    assert await pacs("index", "verify", "--data", tmp_path) == 0


async def test_swapped_files_are_not_delivered_and_heal(tmp_path):
    one, two = UIDS[:2]
    with node_thread(tmp_path) as node:
        await store(node.peer, DATASETS)
        paths = path_of(tmp_path, one), path_of(tmp_path, two)
        contents = [path.read_bytes() for path in paths]
        for path, content in zip(paths, reversed(contents), strict=True):
            path.write_bytes(content)
        final, failed, received = await get(node.peer)
        assert (final.status, failed) == (0xB000, {one, two})
        assert received.keys() == set(UIDS[2:])
        await store(node.peer, DATASETS)
        assert (await get(node.peer))[2] == DATASETS


async def test_large_objects_are_checked_before_they_are_sent(tmp_path):
    datasets = {uid: instance(uid, 5 << 20) for uid in UIDS}
    with node_thread(tmp_path) as node:
        await store(node.peer, datasets)
        decay(tmp_path, UIDS[1])
        final, failed, received = await get(node.peer)
        assert (final.status, failed) == (0xB000, {UIDS[1]})
        assert received == {uid: data for uid, data in datasets.items() if uid != UIDS[1]}


async def test_the_last_part_of_what_is_checked_while_it_streams_is_withheld(tmp_path):
    """As for objects beyond 256 MiB: the receiver never has all of it, and is told so."""
    data = instance(UIDS[0], 5 << 20)
    with node_thread(tmp_path) as node:
        await store(node.peer, {UIDS[0]: data})
        archive = node.node.opened.archive
        opener = archive._opener
        archive._opener = evolve(opener, checks=evolve(opener.checks, ahead=0))
        assert (await get(node.peer))[2] == {UIDS[0]: data}
        decay(tmp_path, UIDS[0])
        with pytest.raises(AssociationError):
            await get(node.peer)
        assert await store(node.peer, {UIDS[0]: data}) == [0x0000]
        assert (await get(node.peer))[2] == {UIDS[0]: data}


async def test_a_rebuilt_index_still_knows_what_was_stored(tmp_path):
    with node_thread(tmp_path) as node:
        await store(node.peer, DATASETS)
        decay(tmp_path, UIDS[2])
    assert await pacs("index", "rebuild", "--data", tmp_path) == 0
    with node_thread(tmp_path) as node:
        final, failed, _ = await get(node.peer)
        assert (final.status, failed) == (0xB000, {UIDS[2]})
        await store(node.peer, DATASETS)
        assert (await get(node.peer))[2] == DATASETS
    assert await pacs("index", "rebuild", "--data", tmp_path) == 0
    with node_thread(tmp_path) as node:
        assert (await get(node.peer))[2] == DATASETS


async def test_a_file_put_back_from_a_backup_is_served(tmp_path):
    with node_thread(tmp_path) as node:
        await store(node.peer, DATASETS)
        backup = path_of(tmp_path, UIDS[0]).read_bytes()
        decay(tmp_path, UIDS[0], DECAY["cut short"])
        assert (await get(node.peer))[1] == {UIDS[0]}
        path_of(tmp_path, UIDS[0]).write_bytes(backup)
        assert (await get(node.peer))[2] == DATASETS


async def test_other_readers_can_read_the_objects(tmp_path):
    """PS3.10 §7.1: they pass over Private Information (0002,0102) that is not theirs."""
    with node_thread(tmp_path) as node:
        await store(node.peer, DATASETS)
    for uid, data in DATASETS.items():
        read = dcmread(path_of(tmp_path, uid))
        assert read.SOPInstanceUID == uid
        assert read.file_meta.PrivateInformationCreatorUID == CREATOR_UID
        assert read.file_meta.PrivateInformation[:16] == xxh3_128_digest(data)


async def test_off_delivers_what_is_there(tmp_path):
    with node_thread(tmp_path, {"archive": {"verify_reads": "off"}}) as node:
        await store(node.peer, DATASETS)
        decay(tmp_path, UIDS[0])
        final, failed, received = await get(node.peer)
        assert (final.status, failed) == (0x0000, set())
        assert received[UIDS[0]] != DATASETS[UIDS[0]]


async def test_an_object_that_a_power_failure_has_zeroed_is_lost_and_said_to_be(
    pacs_process, tmp_path
):
    """It has its size: only its digest tells. What was written behind is looked at on start."""
    archive = {"durability": "write-behind", "flush_interval": 3600.0}
    node = pacs_process({"archive": archive}, data_directory=tmp_path)
    await store(node.peer, DATASETS)
    node.kill()
    decay(tmp_path, UIDS[0], DECAY["zeroed block"])
    node = pacs_process({"archive": archive}, data_directory=tmp_path)
    assert "lost" in node.log.read_text()
    final, failed, received = await get(node.peer)
    assert (final.status, failed) == (0x0000, set())
    assert received == {uid: DATASETS[uid] for uid in UIDS[1:]}
    assert await store(node.peer, DATASETS) == [0x0000] * 4
    assert (await get(node.peer))[2] == DATASETS
    assert audited(tmp_path, "instance-lost")


@pytest.mark.parametrize("policy", POLICIES)
async def test_two_workers_heal_the_same_at_once(pacs_process, tmp_path, policy):
    tables = {"node": {"workers": 2}, "archive": {"duplicates": policy}}
    node = pacs_process(tables, data_directory=tmp_path)
    await store(node.peer, DATASETS)
    for _ in range(3):
        for uid in UIDS:
            decay(tmp_path, uid)
        statuses = []

        async def send(statuses=statuses):
            statuses.append(await store(node.peer, DATASETS))

        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(send)
        assert statuses == [[0x0000] * 4] * 4
        assert (await get(node.peer))[2] == DATASETS
        assert len([*(tmp_path / "objects").rglob("*.dcm")]) == 4
    assert node.stop() == 0


async def test_killed_while_it_heals(pacs_process, tmp_path):
    """Whatever was done, the damaged one is not served, and what is acknowledged is."""
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")  # shown if the test fails
    chance = random.Random(seed)
    for number in count():
        node = pacs_process({}, data_directory=tmp_path)
        if number:
            _, failed, received = await get(node.peer)
            assert received.items() <= DATASETS.items()
            assert received.keys() | failed == set(UIDS)
        assert await store(node.peer, DATASETS) == [0x0000] * 4
        assert (await get(node.peer))[2] == DATASETS
        if number == 6:
            break
        for path in (tmp_path / "objects").rglob("*.dcm"):
            path.write_bytes(flip(path.read_bytes()))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_store_until_killed, node.peer)
            await anyio.sleep(chance.uniform(0, 0.05))
            node.kill()
    assert node.stop() == 0
    assert await pacs("index", "rebuild", "--data", tmp_path) == 0
    node = pacs_process({}, data_directory=tmp_path)
    assert (await get(node.peer))[2] == DATASETS


async def _store_until_killed(peer):
    try:
        async with connect(peer, [Proposal(CT, (EXPLICIT,))], timeouts=Timeouts()) as association:
            for uid, data in DATASETS.items():
                await association.c_store(CT, uid, data)
    except (AssociationError, OSError):
        pass
