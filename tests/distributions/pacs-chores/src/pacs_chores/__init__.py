"""Chores: lines that are appended to a file, slowly, in several tries, or never."""

from pathlib import Path

import anyio
from attrs import frozen
from pacs_jobs.api import JobFailedError, JobHandler, JobKind, Progress, RunningJob

from pacs_core.contracts import Setup
from pacs_core.plugins import hookimpl


@frozen
class ChoresConfig:
    """``[plugin.chores]``."""

    schedule: str = "0 3 * * *"


class Append(JobHandler):
    """Appends `line` to the file of chores, `seconds` after it has noted that it begins."""

    def __init__(self, file: Path) -> None:
        self.file = file

    async def start(self) -> None:
        """Make the directory."""
        self.file.parent.mkdir(parents=True, exist_ok=True)

    async def run(self, job: RunningJob) -> None:
        """Append; how often it has been tried is in the line."""
        line = job.arguments.get("line", "scheduled")
        self._append(f"begin {line} {job.attempt}")
        await job.report(Progress(1, 2, "half of it"))
        if job.attempt <= job.arguments.get("failures", 0):
            raise OSError(f"try {job.attempt} fails\x1b[31m")
        if job.arguments.get("pointless"):
            raise JobFailedError("it is pointless")
        await anyio.sleep(job.arguments.get("seconds", 0.0))
        self._append(f"end {line} {job.attempt}")

    def _append(self, line: str) -> None:
        with self.file.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


@hookimpl
def pacs_config() -> type:
    """Return the class of the plugin's table."""
    return ChoresConfig


@hookimpl(optionalhook=True)
def pacs_job_kinds(setup: Setup) -> list[JobKind]:
    """Return the kinds of chores."""
    file = setup.plugin.directory / "chores"
    schedule = setup.config(ChoresConfig).schedule
    return [
        JobKind(
            "chores.append",
            lambda node: Append(file),
            concurrency=2,
            attempts=3,
            first_pause=0.1,
            timeout=20.0,
        ),
        JobKind("chores.daily", lambda node: Append(file), schedule=schedule),
    ]
