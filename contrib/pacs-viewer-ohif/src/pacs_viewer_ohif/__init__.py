"""OHIF viewer for pacs-core: served beside the node's DICOMweb, and configured for it."""

from typing import TYPE_CHECKING

from pacs_core.contracts import Setup
from pacs_core.plugins import hookimpl
from pacs_web.api import NavigationEntry, WebContext, WebRoutesDescriptor

from pacs_viewer_ohif.config import OhifConfig

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

__all__ = ["OhifConfig", "pacs_config", "pacs_web_routes"]


@hookimpl
def pacs_config() -> type[OhifConfig]:
    """Return the class of the table ``[plugin.viewer-ohif]``."""
    return OhifConfig


@hookimpl
def pacs_web_routes(setup: Setup) -> list[WebRoutesDescriptor]:
    """Return the viewer."""
    config = setup.config(OhifConfig)

    def create(context: WebContext) -> "list[BaseRoute]":
        from pacs_viewer_ohif.routes import create_routes

        return create_routes(context, config)

    entry = NavigationEntry(
        "OHIF",
        f"{config.path}/",
        icon="viewer",
        order=50,
        study_path=f"{config.path}/viewer?StudyInstanceUIDs={{study}}",
    )
    return [
        WebRoutesDescriptor(
            "viewer-ohif",
            create,
            prefix=config.path,
            title="OHIF viewer",
            navigation=(entry,),
            public=True,  # these files say nothing of patients; what they ask for is not public
        )
    ]
