"""The contract of kinds of jobs."""

from pathlib import Path

import pytest
from pacs_core.contracts import NodeSettings, Setup
from pacs_jobs.api import JobKind
from pacs_jobs.testing import JobKindContract

from {{ cookiecutter.__package }} import Config, pacs_job_kinds


class TestReport(JobKindContract):
    @pytest.fixture
    def kind(self, tmp_path: Path) -> JobKind:
        config = Config(folder=tmp_path / "reports")
        return pacs_job_kinds(Setup(NodeSettings(), {Config: config}))[0]
