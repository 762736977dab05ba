"""``pacs dicomdir create``: file-sets for exchange on media (PS3.10 §8, PS3.3 Annex F).

How a file-set is made: records are made of what each file says, and stand in a tree, whose places
are the names of the files on the media. The files are copied there as they are. All that happens in
a folder beside the wanted one, which gets its name when everything is there.
"""

import os
import re
import shutil
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Annotated, Final
from uuid import uuid4

from pacs_core.api.file_commands import (
    JobsOption,
    Option,
    UsageError,
    complain,
    complain_of_nothing,
    map_files,
    say,
    walk,
)
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    MutableAttributes,
    encode_attributes,
    file_meta,
    tag_of,
)
from pacs_tools.dicomdir.encoding import encode_directory
from pacs_tools.dicomdir.instances import read_instances
from pacs_tools.dicomdir.records import DIRECTORY, FIRST, LAST
from pacs_tools.dicomdir.tree import Node, grow_tree, name_files

_FIRST, _LAST = tag_of(FIRST), tag_of(LAST)
_ID, _CONSISTENCY = tag_of("FileSetID"), tag_of("FileSetConsistencyFlag")
_DRAFT: Final = ".incoming-{}.part"


def create(
    paths: list[Path],
    /,
    *,
    output: Annotated[Path, Option("--output", "-o")],
    id_: Annotated[str, Option("--id")] = "",
    jobs: JobsOption = 0,
) -> int:
    """Copy DICOM files into a new file-set, with a DICOMDIR.

    Names are those that PS3.10 allows on media; instances keep their bytes.

    Parameters
    ----------
    paths
        Files, or folders with all below them.
    output
        Folder to make; it must not exist, or be empty.
    id_
        File-set ID: up to 16 capital letters, digits and underscores.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UsageError(f"{output} exists: name a folder that is to be made")
    if re.fullmatch("[A-Z0-9_]{0,16}", id_) is None:
        raise UsageError("--id: it has up to 16 capital letters, digits and underscores")
    problems: list[str] = []
    top = grow_tree(read_instances(walk(paths), problems, jobs))
    nodes = name_files(top)
    for problem in problems:
        complain(problem)
    if not nodes:
        return 1 if problems else complain_of_nothing()
    _write(id_, top, nodes, output, jobs)
    say(f"{len(nodes)} instance{'' if len(nodes) == 1 else 's'} in {output}")
    return 1 if problems else 0


def _write(id_: str, top: list[Node], nodes: list[Node], output: Path, jobs: int) -> None:
    """Write the file-set beside the output, with instances as they are, and give it the name."""
    draft = output.with_name(_DRAFT.format(token_hex(8)))
    try:
        draft.mkdir(parents=True)
        folders = {draft.joinpath(*node.names[:-1]) for node in nodes}
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        copies = (
            (node.instance.path, draft.joinpath(*node.names)) for node in nodes if node.instance
        )
        copied = [*map_files(_copy, copies, jobs, label="copying")]
        encode_head = partial(_encode_head, f"2.25.{uuid4().int}", id_)
        with (draft / "DICOMDIR").open("xb") as file:
            file.writelines(encode_directory(encode_head, top))
            file.flush()
            os.fsync(file.fileno())
        # One after the other while they are written each would wait for the disk by itself.
        for path in (*copied, draft, *draft.rglob("*/")):
            _sync(path)
        if output.exists():
            output.rmdir()
        draft.rename(output)
        _sync(output.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _encode_head(uid: str, id_: str, first: int, last: int) -> bytes:
    """Return all of a DICOMDIR before its records (PS3.3 F.3.2.1, F.3.2.2)."""
    values: MutableAttributes = {
        _ID: (id_,) if id_ else (),
        _FIRST: (str(first),),
        _LAST: (str(last),),
        _CONSISTENCY: ("0",),
    }
    return file_meta(DIRECTORY, uid, EXPLICIT_VR_LITTLE_ENDIAN) + encode_attributes(
        values, EXPLICIT_VR_LITTLE_ENDIAN
    )


def _copy(paths: tuple[Path, Path]) -> Path:
    source, target = paths
    shutil.copyfile(source, target)
    return target


def _sync(path: Path) -> None:
    """Have a file or folder on disk before the file-set gets its name."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
