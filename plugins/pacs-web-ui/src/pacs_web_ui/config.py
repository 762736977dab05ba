"""The table ``[plugin.web-ui]``."""

from attrs import define, field, frozen
from attrs.validators import and_, ge, le

from pacs_core.contracts import RELOADABLE, Component, Setup


@frozen
class WebUiConfig:
    """What the pages offer.

    Attributes
    ----------
    page_size : int
        Studies on a page.
    deletion : bool
        Whether studies can be deleted, in pages and by ``/api``.
    max_zip : int
        Bytes of a zip file that can be uploaded. While it is read it lies on the disk of the data
        directory.
    languages : str
        Folder with further languages: a file ``fr.toml`` has the English texts as keys.
    """

    page_size: int = field(default=50, validator=and_(ge(1), le(1000)), metadata=RELOADABLE)
    deletion: bool = field(default=False, metadata=RELOADABLE)
    max_zip: int = field(default=16 << 30, validator=ge(0), metadata=RELOADABLE)
    languages: str = ""


@define(eq=False)
class WebUiSettings(Component):
    """The table as it is by now: requests go by it from their beginning on.

    Attributes
    ----------
    config : WebUiConfig
    """

    config: WebUiConfig = field(factory=WebUiConfig)

    async def reconfigure(self, setup: Setup) -> None:
        """Go by other settings from the next request on."""
        self.config = setup.config(WebUiConfig)
