"""``pacs find-files``: a folder queried as if it were an archive."""

import sys
from pathlib import Path
from typing import Annotated, Final, Literal

from pacs_core.api.file_commands import (
    JobsOption,
    Option,
    UsageError,
    complain,
    complain_of_nothing,
    escape,
    map_files,
    walk,
)
from pacs_core.dataset import Attributes, MalformedDataset, NotPart10, scan_file
from pacs_tools.files import explain

_SOP_CLASS: Final = 0x0008_0016


def find_files(
    paths: list[Path],
    /,
    *,
    key: Annotated[list[str] | None, Option("--key", "-k")] = None,
    format_: Annotated[Literal["paths", "table", "json", "csv"], Option("--format")] = "paths",
    jobs: JobsOption = 0,
) -> int:
    """Print the DICOM files that match keys, as a C-FIND does (PS3.4 C.2.2.2).

    Parameters
    ----------
    paths
        Files, or folders with all below them.
    key
        KEYWORD=VALUE to match (wild cards, ranges of dates, lists of UIDs), KEYWORD alone to print;
        SEQUENCE.KEYWORD within sequences.
    format_
        Paths only, a line each, for scripts; or the attributes of the keys as well.
    """
    # They bring the query model, which the other tools do not wait for.
    from pacs_core.api.file_queries import (
        WRITERS,
        InvalidKeyError,
        KeyMatching,
        matches,
        parse_keys,
    )

    keys = parse_keys(key or ())
    try:
        conditions = KeyMatching().conditions(keys, keys)
    except InvalidKeyError as error:
        raise UsageError(str(error)) from error
    writer = None if format_ == "paths" else WRITERS[format_](list(keys))

    def search(file: tuple[Path, bool]) -> tuple[Attributes | None, bool]:
        """Return the attributes of a file that matches, and whether one cannot be read."""
        path, named = file
        try:
            attributes = scan_file(path, {_SOP_CLASS, *keys}).attributes
        except (NotPart10, MalformedDataset, OSError) as error:
            if reason := explain(path, named, error):
                complain(f"{path}: {reason}")
            return None, bool(reason)
        if not all(matches(condition, attributes) for condition in conditions):
            return None, False
        if writer is None:
            # Names may be anything: a terminal would act on them, xargs needs them as they are.
            print(escape(str(path)) if sys.stdout.isatty() else path)
        return {tag: attributes.get(tag, ()) for tag in keys}, False

    found = problems = 0
    for attributes, failed in map_files(
        search, walk(paths), jobs, label="searching", prints=format_ != "table"
    ):
        problems += failed
        if attributes is None:
            continue
        found += 1
        if writer is not None:
            writer.write(attributes)
    if writer is not None:
        writer.close()
    if problems or found:
        return 1 if problems else 0
    return complain_of_nothing("no file matches")
