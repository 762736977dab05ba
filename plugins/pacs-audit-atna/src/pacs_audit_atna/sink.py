"""The sink: into the spool, and from there to the collector."""

import asyncio
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from anyio import to_thread

from pacs_audit_atna.config import AuditAtnaConfig
from pacs_audit_atna.events import AUDIT_STOPPED, SECURITY_ALERT, translate
from pacs_audit_atna.fhir_form import to_fhir
from pacs_audit_atna.spool import RESERVED, Spool, SpooledMessage
from pacs_audit_atna.syslog import syslog_message
from pacs_audit_atna.transports import Transport, make_transport
from pacs_audit_atna.xml_form import to_xml
from pacs_core.api.files import try_lock
from pacs_core.contracts import (
    AuditEvent,
    AuditSink,
    AuditValue,
    NodeSettings,
    Origin,
    Outcome,
    PluginAuditKind,
    QueueStatus,
)

# Theory of operation
#
# `write` ends when the messages are in the spool. Of all processes of a node one delivers: who has
# the lock of a file, which goes to another when that one dies. It takes the oldest messages, sends
# them, and removes those that the collector has. When the collector is away it waits, longer and
# longer, and nothing else does, until the spool is full. How the last attempt went is noted in the
# spool, where commands see it; they ask to be served at once by a counter beside it.

_log = logging.getLogger(__name__)

DROPPED: Final = PluginAuditKind("audit-atna.dropped", SECURITY_ALERT, AUDIT_STOPPED)
DISCARDED: Final = PluginAuditKind("audit-atna.discarded", SECURITY_ALERT, AUDIT_STOPPED)
"""Somebody had messages dropped, and said why. There is always room for that record."""

_LOOK_AGAIN: Final = 1.0
"""Seconds after which is looked for messages of other processes, and for the lock."""

_LONGEST_WAIT: Final = 60.0
_LAST_ATTEMPT: Final = 5.0
"""Seconds that a node which stops gives the collector."""


class CollectorSink(AuditSink):
    """Sends events to a collector, from a spool.

    Parameters
    ----------
    config : AuditAtnaConfig
    settings : NodeSettings
    """

    def __init__(self, config: AuditAtnaConfig, settings: NodeSettings) -> None:
        self._config = config
        self._ae_title = settings.ae_title
        self._host = socket.gethostname()
        directory = settings.data_directory.absolute() / "audit-atna"
        self.directory = directory
        self._sender_lock = directory / "sender.lock"
        self._spool = Spool(directory / "spool.sqlite", config.spool_bytes, fsync=config.fsync)
        self._news = asyncio.Event()
        self._delivering: asyncio.Task[None] | None = None
        self._dropping = False
        self._away = False

    async def start(self) -> None:
        """Open the spool, and begin to deliver what is in it.

        Raises
        ------
        OSError
            The spool cannot be used.
        TlsConfigError
            A certificate, key or CA cannot be used.
        LookupError
            The token cannot be read.
        """
        transport = await to_thread.run_sync(make_transport, self._config)
        await to_thread.run_sync(self._spool.open)
        self._delivering = asyncio.create_task(self._deliver(transport))

    async def stop(self) -> None:
        """Deliver what waits, if the collector takes it at once; the rest stays in the spool."""
        if self._delivering is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_ATTEMPT):
                    await self._wait_until_delivered()
            self._delivering.cancel()
            with suppress(asyncio.CancelledError):
                await self._delivering
        self._spool.close()

    async def _wait_until_delivered(self) -> None:
        while not self._away and await self._spooled(1):
            self._news.set()
            await asyncio.sleep(0.05)

    async def _spooled(self, count: int) -> list[SpooledMessage]:
        return await to_thread.run_sync(self._spool.peek, count)

    async def write(self, events: Sequence[AuditEvent]) -> None:
        """See base. OSError if there is no room in the spool."""
        if not events:
            return
        drop = self._config.when_full == "drop"
        dropped = await to_thread.run_sync(self._add, events, drop)
        if dropped and not self._dropping:
            _log.error("the spool of audit messages is full: events are dropped, and counted")
        self._dropping = bool(dropped)
        self._news.set()

    async def spool(self) -> QueueStatus:
        """Return what waits for the collector."""
        state = await to_thread.run_sync(self._spool.state)
        away = max(time.time() - state.away_since, 0.0) if state.failure else 0.0
        return QueueStatus("spool", "spool", state.waiting, state.dropped, away)

    def _add(self, events: Sequence[AuditEvent], drop: bool) -> int:
        reserve = RESERVED if all(event.kind == DISCARDED for event in events) else 0
        bodies = [self._encode(event) for event in events]
        return self._spool.add(bodies, drop=drop, reserve=reserve)

    def _encode(self, event: AuditEvent) -> bytes:
        message = translate(event, self._ae_title)
        source, site = self._config.source_id, self._config.site
        if self._config.is_fhir:
            return to_fhir(message, source, site)
        return syslog_message(
            to_xml(message, source, site),
            outcome=message.outcome,
            time=message.time,
            host=self._host,
            process=os.getpid(),
            message_id=self._config.message_id,
        )

    async def _deliver(self, transport: Transport) -> None:
        try:
            async with _sole_sender(self._sender_lock):
                await self._deliver_for_good(transport)
        finally:
            await transport.close()

    async def _deliver_for_good(self, transport: Transport) -> None:
        wait = 0.0
        self._away = bool((await to_thread.run_sync(self._spool.state)).failure)
        while True:
            failure: str | None
            try:
                failure = await self._deliver_batch(transport)
            except OSError as error:
                failure = str(error)
            if failure is None:
                wait = 0.0
                continue
            if not failure:
                if self._away:
                    _log.info("the audit collector %s is back", self._config.collector)
                wait, self._away = 0.0, False
                continue
            if not self._away:
                _log.warning(
                    "the audit collector %s cannot be reached, events wait in %s: %s",
                    self._config.collector,
                    self.directory,
                    failure,
                )
            self._away = True
            await to_thread.run_sync(self._spool.note_failure, failure)
            wait = min(_LONGEST_WAIT, 2 * wait or 0.5)
            if await self._wait_or_be_asked(wait):
                wait = 0.0

    async def _wait_or_be_asked(self, seconds: float) -> bool:
        """Wait, but not after somebody asks to flush; return whether somebody does."""
        asked = await to_thread.run_sync(self._spool.flushes)
        end = asyncio.get_running_loop().time() + seconds
        while (left := end - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(min(left, _LOOK_AGAIN))
            if await to_thread.run_sync(self._spool.flushes) != asked:
                return True
        return False

    async def _deliver_batch(self, transport: Transport) -> str | None:
        """Deliver what has waited longest; return why that failed, None if nothing waits."""
        self._news.clear()
        waiting = await self._spooled(transport.batch)
        if not waiting:
            await self._tell_what_was_dropped()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), _LOOK_AGAIN)
            return None
        delivery = await transport.deliver([message.body for message in waiting])
        for place, reason in delivery.refused.items():
            _log.error("the audit collector refuses a message, it is set aside: %s", reason)
            await to_thread.run_sync(self._spool.set_aside, waiting[place], reason)
        taken = [
            message
            for place, message in enumerate(waiting[: delivery.delivered])
            if place not in delivery.refused
        ]
        if taken:
            await to_thread.run_sync(self._spool.remove, taken)
        return delivery.failure

    async def _tell_what_was_dropped(self) -> None:
        dropped = await to_thread.run_sync(self._spool.take_dropped)
        if dropped:
            origin = Origin("node", called_ae_title=self._ae_title)
            details: dict[str, AuditValue] = {
                "dropped": dropped,
                "reason": "the spool was full",
            }
            await self.write([AuditEvent(DROPPED, Outcome.FAILURE, origin, details)])


@asynccontextmanager
async def _sole_sender(path: Path) -> AsyncIterator[None]:
    """Wait until no other process delivers, and keep others from it."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not try_lock(lock):  # noqa: ASYNC110 - another process holds it
            await asyncio.sleep(_LOOK_AGAIN)
        yield
    finally:
        os.close(lock)
