"""Durable jobs of pacs-core's plugins, in the site's database.

What other plugins import is :mod:`pacs_jobs.api`, and :mod:`pacs_jobs.testing` in their tests.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from pacs_database.api import Database

from pacs_core.contracts import (
    CapabilityDescriptor,
    CliCommandDescriptor,
    Node,
    Service,
    ServiceDescriptor,
    Setup,
)
from pacs_core.plugins import hookimpl
from pacs_jobs import hooks
from pacs_jobs.config import JobsConfig
from pacs_jobs.health import GivenUpWarnings, JobWarnings
from pacs_jobs.queue import JobQueue

if TYPE_CHECKING:
    from pacs_web.api import WebRoutesDescriptor

__all__ = [
    "JobsConfig",
    "pacs_capabilities",
    "pacs_cli_commands",
    "pacs_config",
    "pacs_hookspecs",
    "pacs_services",
    "pacs_web_routes",
]


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.jobs]``."""
    return JobsConfig


@hookimpl
def pacs_hookspecs() -> object:
    """Publish the hook by which plugins declare kinds of jobs."""
    return hooks


@hookimpl
def pacs_capabilities(setup: Setup) -> list[CapabilityDescriptor]:
    """Offer the queue to those who require it."""

    def create(node: Node) -> JobQueue:
        from pacs_jobs.database_queue import DatabaseJobQueue

        return DatabaseJobQueue(node.find(Database))

    def create_warnings(node: Node) -> JobWarnings:
        return GivenUpWarnings(node.find(JobQueue))

    return [
        CapabilityDescriptor("jobs", JobQueue, create, requires=(Database,)),
        CapabilityDescriptor(
            "jobs-warnings", JobWarnings, create_warnings, requires=(JobQueue,), always=True
        ),
    ]


@hookimpl
def pacs_services(setup: Setup) -> list[ServiceDescriptor]:
    """Return who does jobs, in each worker, and who enqueues what is scheduled, once."""
    config = setup.config(JobsConfig)

    def create_worker(node: Node) -> Service:
        from pacs_jobs.worker import JobWorker

        return JobWorker(node, config)

    def create_schedule(node: Node) -> Service:
        from pacs_jobs.schedule import JobSchedule

        return JobSchedule(node, config)

    needed = (JobQueue,)
    return [
        ServiceDescriptor("jobs", create_worker, requires=needed),
        ServiceDescriptor("jobs-schedule", create_schedule, scope="node", requires=needed),
    ]


@hookimpl(optionalhook=True)
def pacs_web_routes(setup: Setup) -> "list[WebRoutesDescriptor]":
    """Return API and pages; without pacs-web nobody asks for them."""
    from pacs_jobs.web import web_routes

    return web_routes()


@hookimpl
def pacs_cli_commands() -> list[CliCommandDescriptor]:
    """Return ``pacs jobs``."""
    summaries = {
        "list": "List jobs.",
        "show": "Show a job.",
        "retry": "Let a job that was given up wait again.",
        "cancel": "Cancel a job.",
        "purge": "Forget jobs that have ended.",
    }

    def load(verb: str) -> Callable[..., int | None]:
        from pacs_jobs import commands

        return commands.BY_VERB[verb]

    return [
        CliCommandDescriptor(f"jobs {verb}", summary, partial(load, verb))
        for verb, summary in summaries.items()
    ]
