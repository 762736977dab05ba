"""``pacs audit spool``: what waits for the collector, and why; deliver it now, or drop it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import anyio
from anyio import to_thread
from cyclopts import Parameter

from pacs_audit_atna.config import AuditAtnaConfig
from pacs_audit_atna.sink import DISCARDED, CollectorSink
from pacs_audit_atna.spool import RefusedMessage, Spool, SpooledMessage, SpoolState
from pacs_audit_atna.summary import summarize
from pacs_core.api.commands import (
    Assembly,
    CommandError,
    ConfigOption,
    DataOption,
    JsonOption,
    UsageError,
    assemble_for_command,
    dump_json,
    local_origin,
    open_sinks,
    say,
)
from pacs_core.contracts import (
    AuditEvent,
    AuditObject,
    AuditObjectKind,
    AuditValue,
    EventAction,
    Outcome,
)

Flag = Annotated[bool, Parameter(negative=())]
_ALERT: Final = 1
_NEARLY_FULL: Final = 0.8
_POLL: Final = 0.1
_ALL: Final = 2**62
_LONGEST_REASON: Final = 500


def list_spool(
    *,
    limit: int = 20,
    refused: Flag = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> int:
    """List what waits for the collector, the oldest first, and say what is the matter with it.

    The exit code is 1 if somebody should look after it: the collector does not take events, has
    refused some, some were dropped, or the spool is nearly full. The node may run meanwhile.

    Parameters
    ----------
    limit
        How many events to list at most.
    refused
        List those that the collector refuses for good.
    as_json
        As JSON.
    """
    settings, path = _spool_of(assemble_for_command(config, data))
    with _open_spool(settings, path) as spool:
        state = spool.state()
        oldest = spool.peek(1)
        listed: list[SpooledMessage] | list[RefusedMessage]
        listed = spool.set_aside_messages(limit) if refused else spool.peek(limit)
    alerts = list(_alerts(settings, state))
    if as_json:
        rows = [_row(each) for each in listed]
        known = {**state._asdict(), "limit": settings.spool_bytes, "alerts": alerts}
        print(dump_json({**known, "events": rows}, indent=2))
        return _ALERT if alerts else 0
    since = f", the oldest of {summarize(oldest[0].body).time}" if oldest else ""
    share = 100 * state.bytes // settings.spool_bytes
    say(f"waiting: {state.waiting} ({state.bytes} bytes, {share} % of what may){since}")
    for alert in alerts:
        say(f"ALERT: {alert}")
    for each in listed:
        found = _row(each)
        why = f": {found['refused']}" if "refused" in found else ""
        say(f"{found['number']} {found['time']} {found['event']} {found['kind']}{why}")
    return _ALERT if alerts else 0


def flush_spool(
    *, timeout: float = 30.0, config: ConfigOption = None, data: DataOption = None
) -> int:
    """Deliver what waits now, instead of when the node next asks the collector.

    The node does so if it runs, else this command. The exit code is 1 if the collector does not
    take all of it.

    Parameters
    ----------
    timeout
        Seconds for the collector to take it.
    """
    assembly = assemble_for_command(config, data)
    settings, path = _spool_of(assembly)
    if not settings.collector:
        raise CommandError("there is no collector: name it with collector in [plugin.audit-atna]")
    with _open_spool(settings, path) as spool:
        waiting = spool.peek(_ALL)
        if not waiting:
            say("nothing waits")
            return 0
        last, before = waiting[-1].id, spool.state()
        spool.ask_to_flush()
        anyio.run(_flush, assembly, spool, last, before.failures, timeout)
        state = spool.state()
        left = sum(each.id <= last for each in spool.peek(_ALL))
    if left:
        raise CommandError(
            f"{left} of {len(waiting)} wait on: {state.failure or 'the collector is too slow'}"
        )
    refused = max(0, state.refused - before.refused)
    more = f", refused: {refused}" if refused else ""
    say(f"delivered: {len(waiting) - refused}{more}")
    return 0


async def _flush(
    assembly: Assembly, spool: Spool, last: int, failures: int, timeout: float
) -> None:
    """Return once messages up to one are gone, or another attempt has failed."""
    setup = assembly.setup_for("audit-atna")
    sink = CollectorSink(setup.config(AuditAtnaConfig), setup.settings)
    await sink.start()  # which delivers, unless the node does
    try:
        with anyio.move_on_after(timeout):
            while spool.state().failures == failures:
                oldest = await to_thread.run_sync(spool.peek, 1)
                if not oldest or oldest[0].id > last:
                    return
                await anyio.sleep(_POLL)
    finally:
        await sink.stop()


def drop_spool(
    *,
    reason: str,
    count: int = 0,
    refused: Flag = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> int:
    """Drop what waits for the collector, which will never have it. That is recorded, with why.

    Parameters
    ----------
    reason
        Why, in 10 to 500 characters.
    count
        So many, from the oldest; else all.
    refused
        Drop those that the collector refuses for good, instead.
    """
    reason = " ".join(reason.split())
    if not 10 <= len(reason) <= _LONGEST_REASON or not reason.isprintable():
        raise UsageError("--reason: say why, in 10 to 500 printable characters")
    if count < 0:
        raise UsageError("--count: not below 0")
    assembly = assemble_for_command(config, data)
    settings, path = _spool_of(assembly)
    with _open_spool(settings, path) as spool:
        most = count or _ALL
        found: list[SpooledMessage] | list[RefusedMessage]
        found = spool.set_aside_messages(most) if refused else spool.peek(most)
        if not found:
            say("there is nothing to drop")
            return 0
        details: dict[str, AuditValue] = {
            "reason": reason,
            "dropped": len(found),
            "refused": refused,
            "first": summarize(found[0].body).time,
            "last": summarize(found[-1].body).time,
        }
        # Recorded before it is done: what is dropped unrecorded would be gone without a trace.
        anyio.run(partial(_record, assembly, details))
        if refused:
            spool.forget_set_aside(found[-1].id)
        else:
            spool.remove([SpooledMessage(each.id, each.body) for each in found])
    say(f"dropped: {len(found)}")
    return 0


async def _record(assembly: Assembly, details: dict[str, AuditValue]) -> None:
    event = AuditEvent(
        DISCARDED,
        Outcome.SUCCESS,
        local_origin("pacs audit spool drop"),
        details,
        action=EventAction.DELETE,
        objects=(AuditObject(AuditObjectKind.URI, "audit-atna", "Spool of audit messages"),),
    )
    async with open_sinks(assembly) as audit:
        await audit.record(event)


def _spool_of(assembly: Assembly) -> tuple[AuditAtnaConfig, Path]:
    """Return the configuration, and where the spool is."""
    setup = assembly.setup_for("audit-atna")
    directory = setup.settings.data_directory.absolute() / "audit-atna"
    return setup.config(AuditAtnaConfig), directory / "spool.sqlite"


@contextmanager
def _open_spool(config: AuditAtnaConfig, path: Path) -> Iterator[Spool]:
    if not path.exists():
        raise CommandError(f"there is no spool: {path} is made when the node starts")
    spool = Spool(path, config.spool_bytes, fsync=config.fsync)
    spool.open()
    try:
        yield spool
    finally:
        spool.close()


def _alerts(config: AuditAtnaConfig, state: SpoolState) -> Iterator[str]:
    if state.failure:
        since = datetime.fromtimestamp(state.away_since, UTC).isoformat("T", "seconds")
        yield f"the collector {config.collector} takes nothing since {since}: {state.failure}"
    if state.bytes >= _NEARLY_FULL * config.spool_bytes:
        what = "refused" if config.when_full == "fail" else "dropped"
        yield f"the spool is nearly full: events that find no room will be {what}"
    if state.dropped:
        yield f"events that found no room and were dropped: {state.dropped}"
    if state.refused:
        yield f"events that the collector refuses for good: {state.refused}; --refused lists them"


def _row(message: SpooledMessage | RefusedMessage) -> dict[str, object]:
    found: dict[str, object] = {"number": message.id, **summarize(message.body)._asdict()}
    if isinstance(message, RefusedMessage):
        found["refused"] = message.reason
    return found
