"""``pacs lifecycle hold``, ``release`` and ``holds``."""

import time
from typing import Annotated

from cyclopts import Parameter

from pacs_core.api.commands import (
    ConfigOption,
    UsageError,
    complain,
    local_origin,
    print_table,
    run_async,
)
from pacs_core.contracts import AuditEvent, EventAction, Node, Outcome, PluginAuditKind
from pacs_lifecycle.command_tools import check_uids, local_time, open_lifecycle
from pacs_lifecycle.interface import Hold, Studies

HELD = PluginAuditKind("lifecycle.held")
RELEASED = PluginAuditKind("lifecycle.released")


def hold(
    study: str, *more: str, reason: Annotated[str, Parameter()], config: ConfigOption = None
) -> None:
    """Hold studies: nobody deletes them, by whatever door, until they are released.

    Parameters
    ----------
    study
        Study Instance UIDs, of the archive or to come.
    reason
        Why; whoever wants to delete them is told.
    """
    if not reason.strip():
        raise UsageError("--reason: say why")
    origin = local_origin("lifecycle")

    async def note() -> None:
        async with open_lifecycle(config) as (node, _):
            for uid in check_uids(study, *more):
                await _record(node, HELD, uid, reason)
                await node.find(Studies).hold(Hold(uid, reason, origin.user, time.time()))

    run_async(note)


def release(study: str, *more: str, config: ConfigOption = None) -> int:
    """Hold studies no more. Exits with 1 if one was not held.

    Parameters
    ----------
    study
        Study Instance UIDs.
    """

    async def note() -> int:
        unknown = 0
        async with open_lifecycle(config) as (node, _):
            for uid in check_uids(study, *more):
                await _record(node, RELEASED, uid, "")
                if not await node.find(Studies).release(uid):
                    unknown += 1
                    complain(f"{uid} was not held")
        return 1 if unknown else 0

    return run_async(note)


def holds(*, config: ConfigOption = None) -> None:
    """List the studies that are held."""

    async def look() -> None:
        async with open_lifecycle(config) as (node, _):
            found = await node.find(Studies).holds()
        rows = [(each.study, local_time(each.since), each.held_by, each.reason) for each in found]
        print_table(("STUDY", "SINCE", "BY", "REASON"), rows)

    run_async(look)


async def _record(node: Node, kind: PluginAuditKind, study: str, reason: str) -> None:
    details = {"study_instance_uid": study, "reason": reason}
    origin = local_origin("lifecycle")
    event = AuditEvent(kind, Outcome.SUCCESS, origin, details, action=EventAction.UPDATE)
    await node.audit.record(event)
