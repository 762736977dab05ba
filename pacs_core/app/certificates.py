"""The certificates of a running node: read again when their files change, warned of in time."""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from time import monotonic
from typing import Final

import anyio
from attrs import define

from pacs_core.concurrency import common_moment
from pacs_core.contracts import (
    AuditEvent,
    AuditFailedError,
    AuditKind,
    AuditValue,
    ClientTls,
    Node,
    Origin,
    Outcome,
    ServerTls,
)
from pacs_core.tls import FileTlsContexts, certificate_uses

logger = logging.getLogger(__name__)

LOOK_AGAIN: Final = 2.0
"""Seconds between looks at the files."""
_DAY: Final = 24 * 60 * 60.0


@define(eq=False)
class CertificateWatch:
    """Looks after the certificates that the configuration names, and those that change.

    A plugin that provides TLS contexts looks after its own.

    Attributes
    ----------
    tables : callable
        Returns the tables of TLS as they are now, by path.
    node : Node
        Of several workers, the first warns; each reads what has changed.
    """

    tables: Callable[[], Mapping[str, ServerTls | ClientTls]]
    node: Node
    _due: float = 0.0

    async def run(self) -> None:
        """Look until cancelled."""
        if not isinstance(self.node.tls, FileTlsContexts):
            return
        while True:
            await self._read_again(self.node.tls)
            if self.node.worker.slot == 0 and monotonic() >= self._due:
                self._due = monotonic() + _DAY
                await self._warn()
            await anyio.sleep_until(common_moment(LOOK_AGAIN))

    async def _read_again(self, contexts: FileTlsContexts) -> None:
        refreshed = tuple(contexts.refresh())
        if not refreshed:  # as nearly always
            return
        names = {settings: where for where, settings in self.tables().items()}
        for settings, problem in refreshed:
            where = names.get(settings) or str(settings.certificate or settings.ca)
            self._due = 0.0
            if problem:
                logger.error("%s goes on with the certificates that it had: %s", where, problem)
            else:
                logger.info("%s: its certificates were read again", where)
            if self.node.worker.slot == 0:
                details = {"table": where, **({"reason": problem} if problem else {})}
                outcome = Outcome.FAILURE if problem else Outcome.SUCCESS
                await self._record(AuditKind.CERTIFICATE_CHANGED, outcome, details)

    async def _warn(self) -> None:
        now = datetime.now(UTC)
        for use in certificate_uses(self.tables()):
            trouble = use.trouble(now)
            if not trouble:
                continue
            valid = use.certificate is not None and now < use.certificate.not_after
            logger.log(logging.WARNING if valid else logging.ERROR, "%s: %s", use.where, trouble)
            details = {"where": use.where, "reason": trouble}
            if use.certificate is not None:
                details["certificate"] = use.certificate.subject
                details["not_after"] = use.certificate.not_after.isoformat()
            outcome = Outcome.WARNING if valid else Outcome.FAILURE
            await self._record(AuditKind.CERTIFICATE_EXPIRY, outcome, details)

    async def _record(
        self, kind: AuditKind, outcome: Outcome, details: Mapping[str, AuditValue]
    ) -> None:
        settings = self.node.settings
        origin = Origin("node", called_ae_title=settings.ae_title, host=settings.host)
        try:
            await self.node.audit.record(AuditEvent(kind, outcome, origin, details))
        except AuditFailedError:
            logger.exception("what became of certificates could not be recorded")
