"""Parts of pacs-core in C: the walk over the header of what arrives.

pacs-core finds `HeaderWalk` by the entry point ``header-walk`` in the group ``pacs_core.speedups``,
and takes its own walk, in Python, where this cannot be imported: where the distribution was built
without a compiler.
"""

from pacs_speedups._header_walk import HeaderWalk

__all__ = ["HeaderWalk"]
