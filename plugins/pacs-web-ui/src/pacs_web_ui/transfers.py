"""Transfers of many instances, with their progress: sent to a peer, or retrieved from it.

A transfer lives as long as the response that tells of it. Whoever closes the page, or leaves it by
its link *Cancel*, closes the connection, and that ends the transfer; so it needs neither a registry
nor a process that remembers it, and the node that is asked may have any number of workers.
"""

import json
from collections.abc import AsyncIterator
from typing import Final, TypeVar

import anyio
from attrs import evolve, frozen
from cattrs import unstructure
from pacs_web.api.http import StreamResponse
from starlette.requests import Request
from starlette.responses import Response

from pacs_core.api.streams import closing
from pacs_core.contracts import Archive, Level, Node, Peer, Query, SingleValue
from pacs_core.dataset import tag_of
from pacs_web_ui.rendering import UNBUFFERED

ReportT = TypeVar("ReportT")
JSON_LINES: Final = "application/jsonl"
_STUDY: Final = tag_of("StudyInstanceUID")
_REASONS: Final = 20
_SHORTEST: Final = 0.2  # seconds between two reports


@frozen
class TransferReport:
    """How many instances there are to transfer, how many arrived, how many did not, and why."""

    total: int = 0
    arrived: int = 0
    failed: int = 0
    reasons: tuple[str, ...] = ()

    def failing(self, reason: str) -> "TransferReport":
        """Return the report with another reason, unless there are many already."""
        if not reason or reason in self.reasons or len(self.reasons) == _REASONS:
            return self
        return evolve(self, reasons=(*self.reasons, reason))


async def send_study(
    node: Node, archive: Archive, study: str, peer: Peer, total: int
) -> AsyncIterator[TransferReport]:
    """Send a study to a peer, and tell after each instance how far that is.

    Whoever closes the generator stops it: the response that is outstanding is waited for.
    """
    instances = archive.instances(Query(Level.IMAGE, (SingleValue(_STUDY, study),)))
    report = TransferReport(total)
    async with node.sender.send(instances, peer, archive=archive) as sending:
        async for each in sending:
            arrived, failed = report.arrived + each.arrived, report.failed + (not each.arrived)
            report = evolve(report, arrived=arrived, failed=failed)
            report = report if each.arrived else report.failing(each.reason)
            yield report


async def pace(reports: AsyncIterator[ReportT]) -> AsyncIterator[ReportT]:
    """Iterate over some of the reports, the last one included: ever fewer, the longer it takes."""
    began = due = anyio.current_time()
    last: ReportT | None = None
    async with closing(reports) as all_reports:
        async for last in all_reports:
            if (now := anyio.current_time()) >= due:
                due = now + max(_SHORTEST, (now - began) / 200)
                yield last
    if last is not None:
        yield last


def answer_progress(request: Request, reports: AsyncIterator[ReportT]) -> Response:
    """Return the report at the end as JSON, or all on the way to it as lines of JSON.

    Either way a client that leaves ends what is reported on.
    """
    in_lines = JSON_LINES in request.headers.get("accept", "")

    async def content() -> AsyncIterator[bytes]:
        report: ReportT | None = None
        async with closing(pace(reports)) as paced:
            async for report in paced:
                if in_lines:
                    yield json.dumps(unstructure(report)).encode() + b"\n"
        if not in_lines:
            yield json.dumps(unstructure(report)).encode()

    media_type = JSON_LINES if in_lines else "application/json"
    return StreamResponse(content(), headers=UNBUFFERED, media_type=media_type)
