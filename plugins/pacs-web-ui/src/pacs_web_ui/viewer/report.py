"""SR documents as pages within the viewer: what they refer to opens in it."""

from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from pacs_core.api.sr import PageOptions, Reference, page_lines, read_document
from pacs_core.dataset import ElementSet, ReadLimits

LIMITS: Final = ReadLimits(value=4 << 20, total=32 << 20)
_MOST_ITEMS: Final = 20_000


def write_report(
    elements: ElementSet, base: str, study: str, language: str, translate: Callable[[str], str]
) -> str:
    """Return the page of the document that elements are.

    Parameters
    ----------
    elements : ElementSet
    base : str
        Path of the viewer, without a slash at its end.
    study : str
        Study Instance UID.
    language : str
    translate : callable
        Returns an English text in that language.
    """

    def link(reference: Reference) -> str:
        address = f"{base}/{quote(study)}?instance={quote(reference.sop_instance_uid)}"
        return f"{address}&frame={quote(reference.frames[0])}" if reference.frames else address

    document = read_document(elements, _MOST_ITEMS)
    if document is None:
        return ""
    options = PageOptions(language, translate, link, "_top")
    return "\n".join(page_lines(document, options))
