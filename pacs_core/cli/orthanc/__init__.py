"""Content of an Orthanc server, read from its folder or over its REST API."""

from pacs_core.cli.orthanc.folder import OrthancFolder
from pacs_core.cli.orthanc.server import OrthancServer
from pacs_core.cli.other_archives import OtherArchive

__all__ = ["OrthancFolder", "OrthancServer", "open_orthanc"]


def open_orthanc(place: str, user: str = "", password: str = "") -> OtherArchive:
    """Return the source of a URL or folder.

    Raises
    ------
    OtherArchiveError
        It is none.
    """
    if place.startswith(("http://", "https://")):
        return OrthancServer(place, user, password)
    return OrthancFolder.open(place)
