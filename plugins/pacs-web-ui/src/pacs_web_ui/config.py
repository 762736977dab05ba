"""The table ``[plugin.web-ui]``."""

from attrs import field, frozen
from attrs.validators import and_, ge, le


@frozen
class WebUiConfig:
    """What the pages offer.

    Attributes
    ----------
    page_size : int
        Studies on a page.
    deletion : bool
        Whether studies can be deleted, in pages and by ``/api``.
    languages : str
        Folder with further languages: a file ``fr.toml`` has the English texts as keys.
    """

    page_size: int = field(default=50, validator=and_(ge(1), le(1000)))
    deletion: bool = False
    languages: str = ""
