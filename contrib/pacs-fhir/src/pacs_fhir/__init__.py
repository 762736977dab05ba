"""ImagingStudy resources of FHIR R4 for pacs-core: studies found and read over HTTP."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pacs_core.contracts import Setup
from pacs_core.plugins import hookimpl
from pacs_web.api import WebContext, WebRoutesDescriptor

from pacs_fhir.config import FhirConfig

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

__all__ = ["FhirConfig"]


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.fhir]``."""
    return FhirConfig


@hookimpl(optionalhook=True)
def pacs_web_routes(setup: Setup) -> list[WebRoutesDescriptor]:
    """Return the FHIR server; without pacs-web nobody asks for it."""
    config = setup.config(FhirConfig)

    def create(context: WebContext) -> "Sequence[BaseRoute]":
        from pacs_fhir.routes import fhir_routes

        return fhir_routes(context, config)

    return [WebRoutesDescriptor("fhir", create, config.path, "FHIR R4")]
