"""The table ``[plugin.dicomweb]``."""

from typing import Literal

from attrs import define, field, frozen
from attrs.validators import ge

from pacs_core.contracts import RELOADABLE, Component, Setup


@frozen
class DicomWebConfig:
    """Where DICOMweb is offered, and how much of it at once.

    Attributes
    ----------
    root : str
        Path below the root of the site.
    no_results : 200 or 204
        Status of a search that finds nothing: 200 with an empty array, or 204 without content
        (PS3.18 Table 10.6.3-1 allows both).
    fuzzy_names : bool
        Whether ``fuzzymatching=true`` is heeded; the index must know how. If not, a Warning says
        that it was not.
    max_results : int
        Results of a search at most; a Warning says that there are more.
    max_parts : int
        Instances, or parts of any kind, in one Store request.
    max_metadata : int
        Bytes of metadata in one Store request that has bulk data beside them.
    max_pixels : int
        Pixels of an image that is rendered, as it is stored and as it is asked for; and of all that
        a worker renders, and of large frames that it hands out, at the same time, for which others
        wait.
    render_timeout : float
        Seconds that rendering a picture may take, from when it is its turn; and that a large frame
        may wait for its turn.
    kept_pictures : int
        Bytes of rendered pictures and thumbnails that are kept in memory, in each worker; 0 for
        none. Pictures of what changes are made anew.
    delete : bool
        Whether studies, series and instances can be deleted by DELETE.
    """

    root: str = "/dicom-web"
    no_results: Literal[200, 204] = field(default=200, metadata=RELOADABLE)
    fuzzy_names: bool = field(default=True, metadata=RELOADABLE)
    max_results: int = field(default=10_000, validator=ge(1), metadata=RELOADABLE)
    max_parts: int = field(default=100_000, validator=ge(1), metadata=RELOADABLE)
    max_metadata: int = field(default=64 << 20, validator=ge(1024), metadata=RELOADABLE)
    max_pixels: int = field(default=64 << 20, validator=ge(1), metadata=RELOADABLE)
    render_timeout: float = field(default=20.0, validator=ge(0.1), metadata=RELOADABLE)
    kept_pictures: int = field(default=16 << 20, validator=ge(0), metadata=RELOADABLE)
    delete: bool = field(default=False, metadata=RELOADABLE)

    def problems(self) -> list[str]:
        """Return what is wrong beyond types."""
        if not self.root.startswith("/") or self.root.endswith("/"):
            return [f"root: {self.root!r}: begin with a slash, end without: /dicom-web"]
        return []


@define(eq=False)
class DicomWebSettings(Component):
    """The table as it is by now: requests go by it from their beginning on.

    Attributes
    ----------
    config : DicomWebConfig
    """

    config: DicomWebConfig = field(factory=DicomWebConfig)

    async def reconfigure(self, setup: Setup) -> None:
        """Go by other settings from the next request on."""
        self.config = setup.config(DicomWebConfig)
