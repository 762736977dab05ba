"""SR documents: their content, and how it is shown as a page and as text (PS3.3 C.17).

:func:`read_document` reads what :class:`~pacs_core.dataset.ElementReader` or an archive has read of
a dataset. Nothing here does input or output.
"""

from typing import TYPE_CHECKING

from pacs_core.on_demand import import_on_demand

if TYPE_CHECKING:
    from pacs_core.sr.content import (
        Code as Code,
        ContentItem as ContentItem,
        Reference as Reference,
        code_of as code_of,
        items_of as items_of,
        text_of as text_of,
    )
    from pacs_core.sr.document import (
        SRDocument as SRDocument,
        is_sr_class as is_sr_class,
        read_document as read_document,
    )
    from pacs_core.sr.page import (
        POLICY as POLICY,
        PageOptions as PageOptions,
        page_lines as page_lines,
    )
    from pacs_core.sr.plain import text_lines as text_lines

import_on_demand(
    __name__,
    """
pacs_core.sr.content Code ContentItem Reference code_of items_of text_of
pacs_core.sr.document SRDocument is_sr_class read_document
pacs_core.sr.page POLICY PageOptions page_lines
pacs_core.sr.plain text_lines
""",
)
