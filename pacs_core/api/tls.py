"""TLS contexts by the profiles of PS3.15, for plugins that have certificates of their own."""

from pacs_core.tls import explain, make_context

__all__ = ["explain", "make_context"]
