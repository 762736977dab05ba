"""Import from archives of other makers: the way is the same, whoever has made them."""

from pacs_core.cli.other_archives.source import OtherArchive, OtherArchiveError, OtherInstance

__all__ = ["OtherArchive", "OtherArchiveError", "OtherInstance"]
