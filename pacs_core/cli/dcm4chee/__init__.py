"""What a dcm4chee has in its storage folder."""

from pacs_core.cli.dcm4chee.folder import Dcm4cheeFolder

__all__ = ["Dcm4cheeFolder"]
