"""The account at the end: what has to be there is there, and what has to happen once did."""

import json
import time
from typing import Any

import anyio

from pacs_core.association import AssociationError, Proposal, connect
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN as EXPLICIT, tag_of, texts

from .ledger import ROUTED
from .trouble import RefusedError, Trouble, WrongAnswerError
from .work import Client, get_study

PATIENCE = 180.0
"""Seconds in which something of what waits has to be done once nothing is in its way."""
MPPS, MPPS_RETRIEVE = "1.2.840.10008.3.1.2.3.3", "1.2.840.10008.3.1.2.3.4"


async def settle(client: Client, trouble: Trouble) -> None:
    """Wait until routes, reports and jobs have done their work."""
    deadline, before = time.monotonic() + PATIENCE, [""]
    while time.monotonic() < deadline:
        waiting = await _open(client)
        if not waiting:
            return
        if waiting != before:  # something is done still
            deadline, before = time.monotonic() + PATIENCE, waiting
        await anyio.sleep(2)
    trouble.find(f"after {PATIENCE:g} s there are still: {'; '.join(waiting)}")


async def _open(client: Client) -> list[str]:
    """Return what is not done yet."""
    ledger, receiver = client.ledger, client.receiver
    expected = {uid for uid in ledger.expected if ledger.sent[uid].modality == ROUTED}
    unrouted = expected - receiver.routed.keys()
    unreported = ledger.committed.keys() - receiver.reports.keys()
    # What is planned for later waits rightly.
    jobs = [job for job in await _jobs(client) if job["state"] in ("running", "failed")]
    open_ = [f"{len(unrouted)} not routed: {sorted(unrouted)[:3]}"] if unrouted else []
    if unreported:
        open_.append(f"{len(unreported)} commitments not reported: {sorted(unreported)[:3]}")
    return open_ + [f"job {job['kind']} {job['state']}: {job['error']}" for job in jobs]


async def _jobs(client: Client) -> list[dict[str, Any]]:
    code, output, complaint = await client.node.pacs("jobs", "list", "--json")
    if code:
        return [{"kind": "list", "state": "failed", "error": complaint}]
    return [json.loads(line) for line in output.splitlines()]


async def check(client: Client, trouble: Trouble) -> int:
    """Look for everything; return how many acknowledged instances are lost or damaged."""
    lost = await _check_instances(client, trouble)
    await _check_steps(client, trouble)
    _check_receiver(client, trouble)
    # An object without a row was never acknowledged: a kill came between the two.
    code, output, complaint = await client.node.pacs("index", "verify", "--content", "--rate", "0")
    for line in output.splitlines():
        if line.startswith(("missing", "differs", "damaged", "set-aside")):
            trouble.find(f"index verify: {line}")
    if code and not output:
        trouble.find(f"index verify: {complaint.strip()}")
    return lost


async def _check_instances(client: Client, trouble: Trouble) -> int:
    """Retrieve each study, and count each instance in the index."""
    lost = 0
    for study in list(client.ledger.studies):
        try:
            await get_study(client, study)
        except (WrongAnswerError, RefusedError, AssociationError) as error:
            lost += 1
            trouble.find(f"account: {error}")
    response = await client.http.get(f"{client.node.url}/instances?limit=0")
    total = int(response.headers.get("x-total-count", -1))
    # Unacknowledged ones may be there, too: the acknowledgement was on its way.
    expected = len(client.ledger.expected)
    if not expected <= total <= len(client.ledger.sent):
        trouble.find(f"account: {total} instances are listed, {expected} expected")
    return lost


async def _check_steps(client: Client, trouble: Trouble) -> None:
    status = tag_of("PerformedProcedureStepStatus")
    async with connect(client.node.peer, [Proposal(MPPS_RETRIEVE, (EXPLICIT,))]) as association:
        for uid, state in client.ledger.steps.items():
            response, found = await association.n_get(MPPS, uid, negotiated_as=MPPS_RETRIEVE)
            states = texts(found or {}, status)
            # The last N-SET may have been done without its response having arrived.
            if response.status != 0x0000 or states not in ((state,), ("COMPLETED",)):
                told = f"{states}, {response.status:04X}H"
                trouble.find(f"account: step {uid} is {told}, and was {state}")


def _check_receiver(client: Client, trouble: Trouble) -> None:
    ledger, receiver = client.ledger, client.receiver
    for uid, digests in receiver.digests.items():
        if uid not in ledger.sent or digests != {ledger.sent[uid].digest}:
            trouble.find(f"account: the receiver got something else as {uid}")
    for transaction, uids in receiver.failed.items():
        trouble.find(f"account: transaction {transaction} was not committed for {uids}")
    # Who is killed between a delivery and its record delivers again; nobody else may.
    kills = sum(trouble.faults.values())
    for name, counted in (("routed", receiver.routed), ("reported", receiver.reports)):
        again = sum(number - 1 for number in counted.values())
        print(f"{name}: {len(counted)}, again: {again}")
        if again > 4 * kills:
            trouble.find(f"account: {again} were {name} more than once, with {kills} faults")
