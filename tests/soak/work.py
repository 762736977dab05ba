"""Pieces of work of the clients: each does something, and compares the answer with the ledger."""

import random
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any, Final
from uuid import uuid4

import anyio
import httpx
from attrs import define

from pacs_core.association import PeerOperation, Proposal, connect
from pacs_core.contracts import Timeouts
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN as EXPLICIT, Attributes, tag_of
from pacs_core.dimse import Command
from pacs_core.testing.datasets import MODALITIES, SampleStudy

from .ledger import Ledger
from .node import Node
from .receiver import Receiver
from .trouble import RefusedError, WrongAnswerError

STUDY_ROOT: Final = "1.2.840.10008.5.1.4.1.2.2"
WORKLIST: Final = "1.2.840.10008.5.1.4.31"
STORAGE: Final = sorted({SampleStudy().make(each).sop_class_uid for each in MODALITIES})
TIMEOUTS: Final = Timeouts(artim=20, dimse=90, idle=90, connect=10)


@define
class Client:
    """One client, with a source of chance of its own.

    Attributes
    ----------
    node, ledger, receiver, draw, http
    """

    node: Node
    ledger: Ledger
    receiver: Receiver
    draw: random.Random
    http: httpx.AsyncClient


def check_status(response: Command, *good: int) -> None:
    """Raise if a response does not say that an operation has succeeded."""
    if response.status not in (0x0000, *good):
        raise RefusedError(f"{response.status:04X}H {response.error_comment or ''}".strip())


async def store(client: Client) -> None:
    """Store a study of some instances (PS3.4 Annex B), sometimes adding to one that is there."""
    study = SampleStudy()
    proposals = [Proposal(each, (EXPLICIT,)) for each in STORAGE]
    async with connect(client.node.peer, proposals, timeouts=TIMEOUTS) as association:
        for _ in range(client.draw.choice((1, 2, 3, 8))):
            sample, data = client.ledger.make(client.draw, study)
            uid = sample.sop_instance_uid
            check_status(await association.c_store(sample.sop_class_uid, uid, data))
            client.ledger.acknowledge(uid)


async def abandon_store(client: Client) -> None:
    """Break off amid the dataset of a C-STORE (A-ABORT, PS3.8 §7.3)."""
    sample, data = client.ledger.make(client.draw, SampleStudy())

    async def half() -> Any:
        yield data[: len(data) // 2]
        raise ConnectionAbortedError

    proposal = Proposal(sample.sop_class_uid, (EXPLICIT,))
    try:
        async with connect(client.node.peer, [proposal], timeouts=TIMEOUTS) as association:
            await association.c_store(sample.sop_class_uid, sample.sop_instance_uid, half())
    except ConnectionAbortedError:
        return
    raise WrongAnswerError("half of a dataset was taken")


async def abandon_connection(client: Client) -> None:
    """Leave a connection with some bytes that are no PDU yet."""
    port = client.draw.choice((client.node.port, client.node.web))
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(client.draw.choice((b"\x01\x00\x00", b"POST /dicom-web/studies HT")))
        await anyio.sleep(client.draw.uniform(0, 1))


async def find(client: Client) -> None:
    """Find a study by its UID: it is there once (PS3.4 C.4.1)."""
    study = client.ledger.choose(client.draw)
    if study is None:
        return
    keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": study, "PatientName": ""}
    found = await _find(client, f"{STUDY_ROOT}.1", keys)
    if len(found) != 1 and study in client.ledger.studies:
        raise WrongAnswerError(f"the study {study} was found {len(found)} times")


async def find_worklist(client: Client) -> None:
    """Ask for the worklist (PS3.4 Annex K): the steps of the start are on it."""
    keys = {"PatientID": "SOAK*", "PatientName": ""}
    if len(found := await _find(client, WORKLIST, keys)) != WORKLIST_STEPS:
        raise WrongAnswerError(f"the worklist has {len(found)} steps")


WORKLIST_STEPS: Final = 3


async def _find(client: Client, model: str, keys: dict[str, str]) -> list[Attributes]:
    identifier = {tag_of(keyword): (value,) for keyword, value in keys.items()}
    proposals = [Proposal(model, (EXPLICIT,))]
    async with connect(client.node.peer, proposals, timeouts=TIMEOUTS) as association:
        responses = [each async for each in association.c_find(model, identifier)]
    check_status(responses[-1][0])
    return [found for _, found in responses[:-1] if found is not None]


async def get(client: Client) -> None:
    """Retrieve a study by C-GET (PS3.4 C.4.3): what was acknowledged comes as it was sent."""
    study = client.ledger.choose(client.draw)
    if study is not None:
        await get_study(client, study)


async def get_study(client: Client, study: str) -> set[str]:
    """Retrieve a study, and compare it; return the instances that came."""
    acknowledged = set(client.ledger.studies.get(study, ()))
    digests: dict[str, Any] = {}

    async def receive(operation: PeerOperation) -> int:
        digest = sha256()
        async for chunk in operation.dataset:
            digest.update(chunk)
        digests[operation.command.affected_sop_instance_uid or ""] = digest.digest()
        return 0x0000

    model = f"{STUDY_ROOT}.3"
    proposals = [Proposal(model, (EXPLICIT,))]
    proposals += [Proposal(each, (EXPLICIT,), scu=False, scp=True) for each in STORAGE]
    identifier = {tag_of("QueryRetrieveLevel"): ("STUDY",), tag_of("StudyInstanceUID"): (study,)}
    async with connect(client.node.peer, proposals, timeouts=TIMEOUTS) as association:
        final = [each async for each, _ in association.c_get(model, identifier, receive)][-1]
    if study not in client.ledger.studies:
        return set()
    check_status(final)
    compare(client.ledger, study, acknowledged, digests)
    return set(digests)


def compare(ledger: Ledger, study: str, acknowledged: set[str], digests: dict[str, bytes]) -> None:
    """Hold what came of a study against the ledger.

    Raises
    ------
    WrongAnswerError
        Something that was acknowledged is missing or other than it was sent.
    """
    if missing := acknowledged - digests.keys():
        raise WrongAnswerError(f"of the study {study} are missing: {sorted(missing)}")
    for uid, digest in digests.items():
        if uid not in ledger.sent or ledger.sent[uid].digest != digest:
            raise WrongAnswerError(f"{uid} of the study {study} is not what was sent")


async def move(client: Client) -> None:
    """Let a study be sent to the receiver by C-MOVE (PS3.4 C.4.2)."""
    study = client.ledger.choose(client.draw)
    if study is None:
        return
    acknowledged = set(client.ledger.studies[study])
    model = f"{STUDY_ROOT}.2"
    identifier = {tag_of("QueryRetrieveLevel"): ("STUDY",), tag_of("StudyInstanceUID"): (study,)}
    async with connect(
        client.node.peer, [Proposal(model, (EXPLICIT,))], timeouts=TIMEOUTS
    ) as association:
        final = [each async for each, _ in association.c_move(model, identifier, "DEST")][-1]
    if study not in client.ledger.studies:
        return
    check_status(final)
    if missing := [uid for uid in acknowledged if not client.receiver.moved[uid]]:
        raise WrongAnswerError(f"C-MOVE has succeeded without {missing}")


async def commit(client: Client) -> None:
    """Ask whether a study is kept (PS3.4 Annex J); the answer comes to the receiver."""
    study = client.ledger.choose(client.draw)
    if study is None or len(client.ledger.held) > len(client.ledger.studies) // 2:
        return
    uids = set(client.ledger.studies[study])
    client.ledger.held.add(study)
    transaction = f"2.25.{uuid4().int}"
    items = tuple(
        {
            tag_of("ReferencedSOPClassUID"): (client.ledger.sent[uid].sop_class,),
            tag_of("ReferencedSOPInstanceUID"): (uid,),
        }
        for uid in uids
    )
    information: Attributes = {
        tag_of("TransactionUID"): (transaction,),
        tag_of("ReferencedSOPSequence"): items,
    }
    model = "1.2.840.10008.1.20.1"
    proposals = [Proposal(model, (EXPLICIT,))]
    async with connect(
        client.node.peer, proposals, calling_ae_title="CT1", timeouts=TIMEOUTS
    ) as association:
        response, _ = await association.n_action(model, f"{model}.1", 1, information)
        check_status(response)
        client.ledger.committed[transaction] = uids


async def perform(client: Client) -> None:
    """Begin and end a performed procedure step (PS3.4 Annex F)."""
    from pacs_sop_mpps.testing import sample_attributes

    model, uid = "1.2.840.10008.3.1.2.3.3", f"2.25.{uuid4().int}"
    status = tag_of("PerformedProcedureStepStatus")
    whole = sample_attributes()
    keywords = (
        "PerformedProcedureStepEndDate", "PerformedProcedureStepEndTime", "PerformedSeriesSequence"
    )  # fmt: skip
    end = {tag_of(keyword): whole[tag_of(keyword)] for keyword in keywords}
    async with connect(
        client.node.peer, [Proposal(model, (EXPLICIT,))], timeouts=TIMEOUTS
    ) as association:
        response, _ = await association.n_create(model, uid, whole)
        check_status(response)
        client.ledger.steps[uid] = "IN PROGRESS"
        response, _ = await association.n_set(model, uid, {**end, status: ("COMPLETED",)})
        check_status(response)
        client.ledger.steps[uid] = "COMPLETED"


async def delete(client: Client) -> None:
    """Delete a study that nobody has been promised, beside the running node."""
    study = client.ledger.retire(client.draw)
    if study is not None:
        code, _, complaint = await client.node.pacs("delete", "--study", study, "--yes")
        if code:
            raise RefusedError(complaint.strip())


Work = Callable[[Client], Awaitable[None]]
