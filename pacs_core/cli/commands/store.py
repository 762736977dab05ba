"""``pacs store``."""

from pathlib import Path

from pacs_core.cli.errors import UsageError
from pacs_core.cli.folders import has_dicom
from pacs_core.cli.options import CLIENT, ClientOptions, VerboseOption


def store(
    peer: str,
    /,
    *paths: Path,
    associations: int = 1,
    window: int = 8,
    transcode: bool = True,
    verbose: VerboseOption = False,
    options: ClientOptions = CLIENT,
) -> int:
    """Send files to a peer (C-STORE, PS3.4 Annex B).

    Datasets are sent as they are in the files, byte for byte, if the peer accepts that; otherwise
    they are converted to a transfer syntax that it accepts. In folders, files that are no DICOM
    files and DICOMDIRs are skipped.

    Parameters
    ----------
    peer
        AET@HOST:PORT, or the name of a configured peer.
    paths
        Files, and folders with all that is below.
    associations
        How many to use at once.
    window
        Stores to have outstanding on an association, if the peer agrees.
    transcode
        Whether what the peer does not accept as it is may be converted.
    """
    if not paths:
        raise UsageError("give at least one file or folder to send")
    if associations < 1 or window < 1:
        raise UsageError("--associations and --window are 1 or more")
    # Looked at first: no plugin is asked for codecs where there is nothing to convert.
    is_needed = has_dicom(paths)
    from pacs_core.cli.storing import store_files

    return store_files(
        peer,
        paths,
        options,
        associations=associations,
        window=window,
        transcode=transcode and is_needed,
        verbose=verbose,
    )
