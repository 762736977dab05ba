"""Unified Procedure Step of pacs-core (PS3.4 Annex CC).

What other plugins import is :mod:`pacs_sop_ups.api`.
"""

from functools import partial

from pacs_database.api import Database
from pacs_jobs.api import JobHandler, JobKind

from pacs_core.contracts import (
    CapabilityDescriptor,
    Node,
    ServiceProvider,
    ServiceProviderDescriptor,
    Setup,
    SopClassSupport,
)
from pacs_core.plugins import hookimpl
from pacs_sop_ups.config import UpsConfig
from pacs_sop_ups.conformance import DESCRIPTION, STATUSES
from pacs_sop_ups.interface import UnifiedProcedureSteps
from pacs_sop_ups.service import UpsProvider
from pacs_sop_ups.sop_classes import UPS_PULL, UPS_PUSH, UPS_WATCH

__all__ = [
    "UpsConfig",
    "pacs_capabilities",
    "pacs_config",
    "pacs_job_kinds",
    "pacs_service_providers",
]

_SOP_CLASSES = {
    UPS_PUSH: SopClassSupport(name="Unified Procedure Step - Push"),
    UPS_WATCH: SopClassSupport(name="Unified Procedure Step - Watch"),
    UPS_PULL: SopClassSupport(name="Unified Procedure Step - Pull"),
}


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.sop-ups]``."""
    return UpsConfig


@hookimpl
def pacs_capabilities(setup: Setup) -> list[CapabilityDescriptor]:
    """Offer the procedure steps to those who hand out work, or do it."""
    config = setup.config(UpsConfig)

    def create(node: Node) -> UnifiedProcedureSteps:
        from pacs_sop_ups.database_steps import DatabaseProcedureSteps

        return DatabaseProcedureSteps(node.find(Database), config, settings=lambda: node.settings)

    return [CapabilityDescriptor("ups", UnifiedProcedureSteps, create, requires=(Database,))]


@hookimpl
def pacs_service_providers(setup: Setup) -> list[ServiceProviderDescriptor]:
    """Register the normalized operations of procedure steps."""
    config = setup.config(UpsConfig)

    def create(node: Node) -> ServiceProvider:
        return UpsProvider(node, config)

    return [
        ServiceProviderDescriptor(
            "ups",
            _SOP_CLASSES,
            create,
            description=DESCRIPTION,
            statuses=STATUSES,
            requires=(UnifiedProcedureSteps,),
        )
    ]


@hookimpl
def pacs_job_kinds(setup: Setup) -> list[JobKind]:
    """Return the job that forgets old steps."""
    config = setup.config(UpsConfig)

    def create_expiry(node: Node) -> JobHandler:
        from pacs_sop_ups.upkeep import ForgetOldSteps

        return ForgetOldSteps(node, config)

    kind = partial(JobKind, requires=(UnifiedProcedureSteps,))
    return [kind("ups.expire", create_expiry, "forgets old procedure steps", schedule="37 3 * * *")]
