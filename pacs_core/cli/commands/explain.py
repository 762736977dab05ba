"""``pacs explain``."""

from pathlib import Path
from typing import Annotated

from pacs_core.cli.errors import UsageError
from pacs_core.cli.folders import has_dicom
from pacs_core.cli.option import Option
from pacs_core.cli.options import CLIENT, ClientOptions, VerboseOption


def explain(
    peer: str,
    /,
    *paths: Path,
    ask: Annotated[bool, Option()] = False,
    verbose: VerboseOption = False,
    options: ClientOptions = CLIENT,
) -> int:
    """Say for each file whether a peer would get it as it is, converted, or not at all, and why.

    Nothing is sent. What the configuration allows is assumed to be accepted, unless the peer is
    asked.

    Parameters
    ----------
    peer
        AET@HOST:PORT, or the name of a configured peer.
    paths
        Files, and folders with all that is below.
    ask
        Open an association and let the peer say which transfer syntaxes it accepts.
    """
    if not paths:
        raise UsageError("give at least one file or folder")
    # Looked at first: no plugin is asked for codecs where there is nothing to convert.
    is_needed = has_dicom(paths)
    from pacs_core.cli.explaining import explain_files

    return explain_files(peer, paths, options, ask=ask, transcode=is_needed, verbose=verbose)
