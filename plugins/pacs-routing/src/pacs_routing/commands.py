"""``pacs routes``."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from pacs_core.api.commands import (
    CommandError,
    ConfigOption,
    JsonOption,
    UsageError,
    assemble_for_command,
    local_origin,
    open_archive,
    print_table,
)
from pacs_core.api.streams import closing
from pacs_core.contracts import (
    AuditEvent,
    EventAction,
    Level,
    Node,
    Origin,
    Outcome,
    Principal,
    Query,
    UidList,
)
from pacs_core.dataset import MalformedDataset, NotPart10, scan_file, tag_of
from pacs_core.dimse import is_valid_uid
from pacs_routing.auditing import STEERED
from pacs_routing.description import describe_delivery, describe_total, moment
from pacs_routing.explaining import Verdict, judge
from pacs_routing.interface import (
    Deliveries,
    Delivery,
    DeliveryFilter,
    DeliveryState,
    RouteTotal,
    Wanted,
)
from pacs_routing.routes import Routes

_PAGE: Final = 200
_LEVELS: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


def list_routes(
    *,
    state: DeliveryState | None = None,
    limit: int = 50,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List routes, with what was sent, waits and failed; with `--state`, single instances.

    Parameters
    ----------
    state
        List the instances of which this is so, the latest first.
    limit
        How many instances at most.
    """

    async def run() -> tuple[list[RouteTotal], list[Delivery]]:
        async with _open(config) as node:
            deliveries = node.find(Deliveries)
            if state is None:
                return await deliveries.totals(), []
            wanted = DeliveryFilter(states=(state,))
            return [], [each async for each in deliveries.search(wanted, limit)]

    totals, found = anyio.run(run)
    if json_output:
        rows = [describe_total(each) for each in totals] or [
            describe_delivery(each) for each in found
        ]
        for row in rows:
            print(json.dumps(row))
    elif state is not None:
        _print_deliveries(found)
    else:
        print_table(
            ("RULE", "PEER", "STATE", "INSTANCES", "OLDEST", "LATEST"),
            [
                (
                    each.rule or "(by hand)",
                    each.peer,
                    str(each.state),
                    str(each.count),
                    moment(each.oldest),
                    moment(each.latest),
                )
                for each in totals
            ],
        )


def show(
    what: str,
    /,
    *,
    limit: int = 100,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> int:
    """Show what goes, and went, for a study, an instance, a rule or a peer; the latest first.

    Parameters
    ----------
    what
        Study or SOP Instance UID, or the name of a rule or a peer.
    limit
        How many instances at most.
    """
    if is_valid_uid(what):
        filters = [DeliveryFilter(study_uid=what), DeliveryFilter(instance_uid=what)]
    else:
        filters = [DeliveryFilter(peer=what), DeliveryFilter(rule=what)]

    async def run() -> list[Delivery]:
        async with _open(config) as node:
            for wanted in filters:
                found = [each async for each in node.find(Deliveries).search(wanted, limit)]
                if found:
                    return found
            return []

    found = anyio.run(run)
    if json_output:
        for each in found:
            print(json.dumps(describe_delivery(each)))
    elif found:
        _print_deliveries(found)
    if not found:
        raise CommandError(f"nothing goes, or went, anywhere for {what}")
    return 0


def explain(
    file: Path,
    /,
    *,
    source: str = "",
    called: str = "",
    user: str = "",
    interface: str = "DIMSE",
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> int:
    """Say where a file would go, and why; nothing is sent.

    Exits with 1 if it would go nowhere.

    Parameters
    ----------
    file
        A DICOM file.
    source
        AE title that is to have sent it; by default what its File Meta Information says.
    called
        AE title to which it is to have been sent; likewise.
    user
        Principal that is to have sent it.
    interface
        Door by which it is to have come, as rules name it.
    """

    async def run() -> list[Verdict]:
        async with _open(config) as node:
            routes = node.find(Routes)
            tags = frozenset().union(*(rule.tags for rule in routes.rules))
            try:
                scanned = await anyio.to_thread.run_sync(scan_file, file, tags)
            except (NotPart10, MalformedDataset, OSError) as error:
                raise CommandError(f"{file}: {error}") from error
            origin = Origin(
                interface,
                source or scanned.meta.sending_ae_title,
                called or scanned.meta.receiving_ae_title,
                principal=Principal(user) if user else None,
            )
            return judge(routes, scanned.attributes, origin)

    verdicts = anyio.run(run)
    targets = sorted({peer for verdict in verdicts for peer in verdict.to})
    if json_output:
        for each in verdicts:
            print(json.dumps(each.describe()))
    else:
        for verdict in verdicts:
            print("\n".join(verdict.lines()))
        print(f"it goes to {', '.join(targets)}" if targets else "it goes nowhere")
    return 0 if targets else 1


def send(
    uid: str, /, *, to: str, priority: int = 0, deidentify: str = "", config: ConfigOption = None
) -> None:
    """Send a study, series or instance to a peer, however long it is away; the node does it.

    What was sent before is sent again.

    Parameters
    ----------
    uid
        Study, Series or SOP Instance UID.
    to
        Name of a configured peer.
    priority
        What has a greater one goes first.
    deidentify
        Profile by which it is de-identified, instead of the peer's own.
    """
    if not is_valid_uid(uid):
        raise UsageError(f"{uid!r} is no UID")

    async def run() -> int:
        async with _open(config) as node:
            routes, deliveries = node.find(Routes), node.find(Deliveries)
            if routes.find_peer(to) is None:
                settings = node.settings
                known = ", ".join(sorted({*settings.peers, *settings.dicomweb_peers})) or "none"
                raise UsageError(f"there is no peer {to!r}: configured are {known}")
            if deidentify and to not in node.settings.peers:
                raise UsageError(f"nothing is de-identified on its way to {to}: it has DICOMweb")
            count = 0
            for keyword in _LEVELS:
                query = Query(Level.IMAGE, (UidList(tag_of(keyword), (uid,)),))
                page: list[Wanted] = []
                async with closing(node.archive.instances(query)) as found:
                    async for instance in found:
                        lane = routes.lane_of(to, instance.identity.study_instance_uid)
                        page.append(Wanted(instance, to, "", lane, deidentify, priority))
                        count += 1
                        if len(page) == _PAGE:
                            await deliveries.add(page, again=True)
                            page = []
                await deliveries.add(page, again=True)
                if count:
                    break
            else:
                raise CommandError(f"there is no {uid} in the archive")
            await _record(node, "routes send", {"uid": uid, "to": to, "instances": count})
            return count

    print(f"{anyio.run(run)} instances wait to be sent: pacs routes show {uid}")


def retry(
    what: str = "", /, *, peer: str = "", rule: str = "", config: ConfigOption = None
) -> None:
    """Try again what failed, and at once what waits; say which, or all of it is meant.

    Parameters
    ----------
    what
        Study or SOP Instance UID.
    peer
        What goes to this peer.
    rule
        What goes there by this rule.
    """
    count = _steer("routes retry", lambda of, wanted: of.retry(wanted), what, peer, rule, config)
    print(f"{count} instances are tried again")


def cancel(
    what: str = "", /, *, peer: str = "", rule: str = "", config: ConfigOption = None
) -> None:
    """Let what waits not be sent any more: of a study or instance, to a peer, by a rule.

    What somebody tries again is sent after all.

    Parameters
    ----------
    what
        Study or SOP Instance UID.
    peer
        What goes to this peer.
    rule
        What goes there by this rule.
    """
    if not (what or peer or rule):
        raise UsageError("say what is not to be sent: a UID, --peer or --rule")
    count = _steer("routes cancel", lambda of, wanted: of.cancel(wanted), what, peer, rule, config)
    print(f"{count} instances are not sent")


def _steer(
    command: str,
    act: Callable[[Deliveries, DeliveryFilter], Awaitable[int]],
    what: str,
    peer: str,
    rule: str,
    config: Path | None,
) -> int:
    async def run() -> int:
        async with _open(config) as node:
            deliveries = node.find(Deliveries)
            count = await act(deliveries, DeliveryFilter(peer, rule, study_uid=what))
            if what and not count:
                count = await act(deliveries, DeliveryFilter(peer, rule, instance_uid=what))
            details: dict[str, str | int] = {"uid": what, "to": peer, "rule": rule}
            details["instances"] = count
            await _record(node, command, details)
            return count

    return anyio.run(run)


BY_VERB: Final[dict[str, Callable[..., int | None]]] = {
    "list": list_routes,
    "show": show,
    "test": explain,
    "send": send,
    "retry": retry,
    "cancel": cancel,
}


@asynccontextmanager
async def _open(config: Path | None) -> AsyncIterator[Node]:
    needed = (Routes, Deliveries)
    async with open_archive(assemble_for_command(config), requires=needed) as opened:
        yield opened.node


async def _record(node: Node, command: str, details: Mapping[str, str | int]) -> None:
    given = {name: value for name, value in details.items() if value != ""}
    origin, action = local_origin(command), EventAction.EXECUTE
    event = AuditEvent(STEERED, Outcome.SUCCESS, origin, given, action=action)
    await node.audit.record(event)


def _print_deliveries(found: list[Delivery]) -> None:
    print_table(
        ("NUMBER", "RULE", "PEER", "STATE", "STATUS", "CHANGED", "INSTANCE", "REASON"),
        [
            (
                str(each.number),
                each.rule or "(by hand)",
                each.peer,
                str(each.state),
                f"{each.status:04X}H" if each.attempts or each.sent_uid else "",
                moment(each.changed),
                each.instance_uid,
                each.reason,
            )
            for each in found
        ],
    )
