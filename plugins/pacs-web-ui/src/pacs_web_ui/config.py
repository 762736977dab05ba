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
    max_zip : int
        Bytes of a zip file that can be uploaded. While it is read it lies on the disk of the data
        directory.
    languages : str
        Folder with further languages: a file ``fr.toml`` has the English texts as keys.
    """

    page_size: int = field(default=50, validator=and_(ge(1), le(1000)))
    deletion: bool = False
    max_zip: int = field(default=16 << 30, validator=ge(0))
    languages: str = ""
