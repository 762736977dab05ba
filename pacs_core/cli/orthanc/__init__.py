"""What an Orthanc server has, read from its folder or over its REST API."""

from pacs_core.cli.orthanc.folder import OrthancFolder
from pacs_core.cli.orthanc.server import OrthancServer
from pacs_core.cli.orthanc.source import OrthancError, OrthancInstance, OrthancSource

__all__ = [
    "OrthancError",
    "OrthancFolder",
    "OrthancInstance",
    "OrthancServer",
    "OrthancSource",
    "open_orthanc",
]


def open_orthanc(place: str, user: str = "", password: str = "") -> OrthancSource:
    """Return the source of a URL or folder.

    Raises
    ------
    OrthancError
        It is none.
    """
    if place.startswith(("http://", "https://")):
        return OrthancServer(place, user, password)
    return OrthancFolder.open(place)
