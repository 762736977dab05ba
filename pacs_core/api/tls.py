"""TLS contexts by the profiles of PS3.15, for plugins that have certificates of their own."""

from pacs_core.tls import describe_connection, explain, make_context

__all__ = ["describe_connection", "explain", "make_context"]
