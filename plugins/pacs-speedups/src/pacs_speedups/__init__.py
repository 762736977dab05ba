"""Parts of pacs-core in C: the walk over the header of what arrives, and the elements of files.

pacs-core finds `HeaderWalk` and `PlainElements` by the entry points ``header-walk`` and
``plain-elements`` in the group ``pacs_core.speedups``, and takes its own, in Python, where they
cannot be imported: where the distribution was built without a compiler.
"""

from pacs_speedups._header_walk import HeaderWalk
from pacs_speedups._plain_elements import PlainElements

__all__ = ["HeaderWalk", "PlainElements"]
