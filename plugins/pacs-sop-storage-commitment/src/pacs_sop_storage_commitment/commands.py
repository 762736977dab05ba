"""``pacs commit`` and ``pacs commitments``."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated

import anyio
from cyclopts import Parameter
from pydicom.uid import generate_uid

from pacs_core.api.commands import (
    CommandError,
    ConfigOption,
    UsageError,
    open_node,
    parse_keys,
    parse_peer,
    print_table,
)
from pacs_core.api.streams import closing
from pacs_core.contracts import AssociationError, KeyMatching, Level, Node, Peer, Query
from pacs_sop_storage_commitment.interface import (
    CommitmentRefusedError,
    Requester,
    Transaction,
    Transactions,
    TransactionState,
)
from pacs_sop_storage_commitment.references import CommitmentRequest, FailureReason, Reference


def commit(
    peer: str,
    /,
    *,
    key: Annotated[tuple[str, ...], Parameter(name=["--key", "-k"], negative=())] = (),
    wait: float = 30.0,
    config: ConfigOption = None,
) -> int:
    """Ask a peer whether it keeps instances of this archive.

    Exits with 1 if it does not keep all. Its answer may come when this command has ended, to the
    node: `pacs commitments show` knows it then.

    Parameters
    ----------
    peer
        Name of a configured peer, or AET@HOST:PORT.
    key
        Which instances, as in `pacs find`: ``StudyInstanceUID=1.2.3``, ``Modality=CT``.
    wait
        Seconds to wait for its answer.
    """
    keys = parse_keys(key)
    if not keys:
        raise UsageError("say which instances, with -k StudyInstanceUID=...")
    conditions = KeyMatching().conditions(keys, keys)

    async def run() -> Transaction:
        async with open_node(config, Transactions, Requester) as node:
            other = parse_peer(peer, node.settings.peers)
            query = Query(Level.IMAGE, conditions)
            async with closing(node.archive.instances(query)) as found:
                references = [
                    Reference(each.identity.sop_class_uid, each.identity.sop_instance_uid)
                    async for each in found
                ]
            if not references:
                raise CommandError("no instance here matches")
            return await _ask(node, other, references, wait)

    asked = anyio.run(run)
    uid = asked.request.transaction_uid
    if asked.state is TransactionState.ASKED:
        print(f"no answer yet: pacs commitments show {uid}")
        return 0
    _print_result(asked)
    return 1 if asked.failures else 0


async def _ask(node: Node, peer: Peer, references: Sequence[Reference], wait: float) -> Transaction:
    request = CommitmentRequest(str(generate_uid()), tuple(references))
    try:
        return await node.find(Requester).request(peer, request, wait)
    except (AssociationError, CommitmentRefusedError) as error:
        raise CommandError(str(error)) from error


def list_transactions(*, limit: int = 50, config: ConfigOption = None) -> None:
    """List requests for commitment, the latest first.

    Parameters
    ----------
    limit
        How many at most.
    """

    async def run() -> list[Transaction]:
        async with open_node(config, Transactions, Requester) as node:
            return [each async for each in node.find(Transactions).latest(limit)]

    rows = [
        (
            str(each.number),
            _moment(each.created),
            str(each.direction),
            each.peer,
            str(each.state),
            str(len(each.request.references)),
            str(len(each.failures)),
            each.request.transaction_uid,
        )
        for each in anyio.run(run)
    ]
    header = (
        "NUMBER",
        "WHEN",
        "DIRECTION",
        "PEER",
        "STATE",
        "INSTANCES",
        "FAILED",
        "TRANSACTION UID",
    )
    print_table(header, rows)


def show(uid: str, /, *, config: ConfigOption = None) -> None:
    """Show a request for commitment.

    Parameters
    ----------
    uid
        Transaction UID.
    """

    async def run() -> list[Transaction]:
        async with open_node(config, Transactions, Requester) as node:
            return await node.find(Transactions).with_uid(uid)

    found = anyio.run(run)
    if not found:
        raise CommandError(f"there is no transaction {uid}")
    for each in found:
        head = f"{each.direction} {_moment(each.created)}, {each.peer}: {each.state}"
        print(f"{head} {each.note}".rstrip())
        _print_result(each)


def _print_result(transaction: Transaction) -> None:
    total, failed = len(transaction.request.references), len(transaction.failures)
    if transaction.state is TransactionState.ASKED:
        print(f"{total} instances, no result yet")
        return
    print(f"{total - failed} of {total} instances committed")
    for reference, reason in transaction.failures.items():
        print(f"  {reference.sop_instance_uid}: {_reason(reason)}")


def _reason(value: int) -> str:
    known = {int(each) for each in FailureReason}
    name = FailureReason(value).name.lower().replace("_", " ") if value in known else "failure"
    return f"{value:04X}H {name}"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")


BY_NAME: dict[str, Callable[..., int | None]] = {
    "commit": commit,
    "commitments list": list_transactions,
    "commitments show": show,
}
