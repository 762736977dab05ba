"""Print Management of pacs-core (PS3.4 Annex H)."""

from collections.abc import Callable

from pacs_database.api import Database
from pacs_jobs.api import JobHandler, JobKind, JobQueue

from pacs_core.contracts import (
    CapabilityDescriptor,
    CliCommandDescriptor,
    Node,
    Service,
    ServiceDescriptor,
    ServiceProvider,
    ServiceProviderDescriptor,
    Setup,
    SopClassSupport,
)
from pacs_core.plugins import hookimpl
from pacs_sop_print.associations import OpenAssociations
from pacs_sop_print.config import PrintConfig
from pacs_sop_print.conformance import DESCRIPTION, INITIATES
from pacs_sop_print.interface import ATTEMPTS, PRINT, PrintQueue
from pacs_sop_print.sop_classes import NAMES
from pacs_sop_print.statuses import STATUSES

__all__ = [
    "PrintConfig",
    "pacs_capabilities",
    "pacs_cli_commands",
    "pacs_config",
    "pacs_job_kinds",
    "pacs_service_providers",
    "pacs_services",
]


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.sop-print]``."""
    return PrintConfig


@hookimpl
def pacs_capabilities(setup: Setup) -> list[CapabilityDescriptor]:
    """Offer the queue of print jobs to the other parts of this plugin."""

    def create(node: Node) -> PrintQueue:
        from pacs_sop_print.database_print_queue import DatabasePrintQueue

        return DatabasePrintQueue(node, setup.plugin, setup.config(PrintConfig))

    def create_associations(node: Node) -> OpenAssociations:
        return OpenAssociations()

    return [
        CapabilityDescriptor("print-queue", PrintQueue, create, requires=(Database, JobQueue)),
        CapabilityDescriptor("print-associations", OpenAssociations, create_associations),
    ]


@hookimpl
def pacs_service_providers(setup: Setup) -> list[ServiceProviderDescriptor]:
    """Register the SOP classes of Print Management."""

    def create(node: Node) -> ServiceProvider:
        from pacs_sop_print.provider import PrintProvider

        return PrintProvider(node, setup.config(PrintConfig))

    return [
        ServiceProviderDescriptor(
            "print",
            {uid: SopClassSupport(name=name) for uid, name in NAMES.items()},
            create,
            description=DESCRIPTION,
            initiates=INITIATES,
            statuses=STATUSES,
            requires=(PrintQueue, OpenAssociations),
        )
    ]


@hookimpl(optionalhook=True)
def pacs_job_kinds(setup: Setup) -> list[JobKind]:
    """Return the kind of job that prints."""

    def create(node: Node) -> JobHandler:
        from pacs_sop_print.delivery import PrintFilms

        return PrintFilms(node, setup.plugin, setup.config(PrintConfig))

    kind = JobKind(
        PRINT,
        create,
        "Print films",
        attempts=ATTEMPTS,
        first_pause=2.0,
        longest_pause=600.0,
        requires=(PrintQueue,),
    )
    return [kind]


@hookimpl
def pacs_services(setup: Setup) -> list[ServiceDescriptor]:
    """Return what forgets old print jobs, and what reports events."""

    def create(node: Node) -> Service:
        from pacs_sop_print.upkeep import Upkeep

        return Upkeep(node, setup.config(PrintConfig))

    def create_reports(node: Node) -> Service:
        from pacs_sop_print.reports import Reports

        return Reports(node, setup.config(PrintConfig))

    return [
        ServiceDescriptor("print-upkeep", create, scope="node", requires=(PrintQueue,)),
        ServiceDescriptor("print-reports", create_reports, requires=(PrintQueue, OpenAssociations)),
    ]


@hookimpl
def pacs_cli_commands() -> list[CliCommandDescriptor]:
    """Return ``pacs print``."""

    def load() -> Callable[..., None]:
        from pacs_sop_print.commands import print_files

        return print_files

    return [CliCommandDescriptor("print", "Print images on a DICOM printer.", load)]
