"""Content of the storage folder of a dcm4chee archive."""

from pacs_core.cli.dcm4chee.folder import Dcm4cheeFolder

__all__ = ["Dcm4cheeFolder"]
