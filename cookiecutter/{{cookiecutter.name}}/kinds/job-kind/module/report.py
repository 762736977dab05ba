"""The job: counts the series of each modality, and writes a file for the day."""

import json
from collections import Counter
from datetime import date
from pathlib import Path

from anyio import to_thread
from pacs_core.contracts import Level, Node, Query
from pacs_core.dataset import tag_of
from pacs_jobs.api import JobFailedError, JobHandler, Progress, RunningJob

MODALITY = tag_of("Modality")


class Report(JobHandler):
    """Makes the report of a day: of ``{"day": "2026-01-31"}``, or of today.

    Parameters
    ----------
    node : Node
    folder : Path
        Where the reports lie.
    """

    def __init__(self, node: Node, folder: Path) -> None:
        self._node = node
        self._folder = folder

    async def run(self, job: RunningJob) -> None:
        """See base."""
        try:
            day = date.fromisoformat(job.arguments.get("day", date.today().isoformat()))
        except (TypeError, ValueError) as error:
            raise JobFailedError(f"`day` is no date: {error}") from error  # nor will it be one
        counts: Counter[str] = Counter()
        query = Query(Level.SERIES, returning=frozenset({MODALITY}))
        async for series in self._node.archive.search(query):
            counts[str((series.get(MODALITY) or ("",))[0])] += 1
            await job.report(Progress(counts.total(), note="series"))
        await to_thread.run_sync(self._write, day, counts)

    def _write(self, day: date, counts: Counter[str]) -> None:
        # Done twice, it is the same file; cut short, it is the old one, or none.
        self._folder.mkdir(parents=True, exist_ok=True)
        unfinished = self._folder / f"{day}.unfinished"
        unfinished.write_text(json.dumps(counts, sort_keys=True), encoding="utf-8")
        unfinished.replace(self._folder / f"{day}.json")
