"""Registration of the plugin."""

from typing import Final

from pacs_core.contracts import (
    Node,
    ServiceProvider,
    ServiceProviderDescriptor,
    Setup,
    SopClassSupport,
)
from pacs_core.plugins import hookimpl
from pacs_sop_query_retrieve.config import QueryRetrieveConfig
from pacs_sop_query_retrieve.conformance import (
    DESCRIPTIONS,
    INITIATES,
    OPTIONS,
    RELATIONAL,
    STATUSES,
    sop_class_name,
)
from pacs_sop_query_retrieve.find import Find
from pacs_sop_query_retrieve.get import Get
from pacs_sop_query_retrieve.models import SOP_CLASSES, ModelService
from pacs_sop_query_retrieve.move import Move
from pacs_sop_query_retrieve.negotiation import RETRIEVE_OPTIONS, find_options
from pacs_sop_query_retrieve.provider import QueryRetrieveProvider

_PROVIDERS: Final[dict[ModelService, type[QueryRetrieveProvider]]] = {
    ModelService.FIND: Find,
    ModelService.MOVE: Move,
    ModelService.GET: Get,
}


@hookimpl
def pacs_config() -> type:
    """Declare the table ``[plugin.sop-query-retrieve]``."""
    return QueryRetrieveConfig


@hookimpl
def pacs_service_providers(setup: Setup) -> list[ServiceProviderDescriptor]:
    """Register C-FIND, C-MOVE and C-GET of the configured information models."""
    config = setup.config(QueryRetrieveConfig)
    return [_descriptor(config, service, kind) for service, kind in _PROVIDERS.items()]


def _descriptor(
    config: QueryRetrieveConfig, service: ModelService, kind: type[QueryRetrieveProvider]
) -> ServiceProviderDescriptor:
    def create(node: Node) -> ServiceProvider:
        return kind(node, config)

    options = find_options(config) if service is ModelService.FIND else RETRIEVE_OPTIONS
    sop_classes = {
        uid: SopClassSupport(name=sop_class_name(model, service))
        for uid, (model, offered) in SOP_CLASSES.items()
        if offered is service and model.name in config.models
    }
    return ServiceProviderDescriptor(
        service.value,
        sop_classes,
        create,
        description=f"{DESCRIPTIONS[service]} {RELATIONAL[config.relational]}",
        statuses=STATUSES[service],
        extended_negotiation={option + 1: OPTIONS[option] for option in sorted(options)},
        initiates=INITIATES if service is ModelService.MOVE else "",
    )
