"""A kind of durable job of pacs-core: a report, each night, of what the archive holds."""

from pacs_core.contracts import Setup
from pacs_core.plugins import hookimpl
from pacs_jobs.api import JobKind

from {{ cookiecutter.__package }}.config import Config
from {{ cookiecutter.__package }}.report import Report

__all__ = ["Config", "Report", "pacs_config", "pacs_job_kinds"]

PACS_API_VERSION = (1, 0)
"""The plugin API that this was written for: a node that offers less does not load it."""


@hookimpl
def pacs_config() -> type:
    """Return the class of the plugin's table."""
    return Config


@hookimpl(optionalhook=True)
def pacs_job_kinds(setup: Setup) -> list[JobKind]:
    """Return the kind; without pacs-jobs nobody asks for it."""
    config = setup.config(Config)
    folder = config.folder or setup.plugin.directory
    return [
        JobKind(
            "{{ cookiecutter.name }}.report",
            lambda node: Report(node, folder),
            "Counts the series of each modality",
            schedule=config.schedule,
        )
    ]
