"""An index of a million instances, made through the index plugin itself and kept for later runs."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio

from pacs_core.app import assemble, open_archive
from pacs_core.config import load_config
from pacs_core.contracts import Index, InstanceIdentity, InstanceRecord, StoredInstance
from pacs_core.dataset import parse_attributes, tag_of

from . import data

STUDIES = 20_000
SERIES_PER_STUDY = 2
INSTANCES_PER_SERIES = 25

KEPT = Path(tempfile.gettempdir()) / "pacs-bench-kept"
_SHAPE = data.SHAPES["tiny"]
_WRITERS = 512


def index_of(studies: int) -> Path:
    """Return an index file of so many studies of 50 instances, made now if it is not there."""
    path = KEPT / f"index-{studies}.sqlite"
    if not path.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=KEPT) as directory:
            anyio.run(_fill, Path(directory), studies)
            (Path(directory) / "index.sqlite").rename(path)
    return path


def place(studies: int, directory: Path) -> None:
    """Give this project's data directory an index of so many studies."""
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(index_of(studies), directory / "index.sqlite")


async def _fill(directory: Path, studies: int) -> None:
    overrides: dict[str, dict[str, Any]] = {"node": {"data_directory": str(directory)}}
    config = directory / "pacs.toml"
    config.write_text('[plugin.index-sqlite]\nsynchronous = "off"\n')
    async with open_archive(assemble(load_config(config, overrides))) as opened:
        assert opened.index is not None
        made = records(opened.index.wanted_tags, studies)
        async with anyio.create_task_group() as writers:
            for _ in range(_WRITERS):
                writers.start_soon(_write, opened.index, made)


async def _write(index: Index, records: Iterator[InstanceRecord]) -> None:
    for record in records:
        await index.add(record)


def records(wanted: frozenset[int], studies: int) -> Iterator[InstanceRecord]:
    """Iterate over records of the instances of so many studies."""
    number = series = 0
    for study in range(studies):
        header = data.header(_SHAPE, study)[:-12]  # without the header of Pixel Data
        parsed = parse_attributes(header, data.EXPLICIT_LITTLE)
        base = {tag: values for tag, values in parsed.items() if tag in wanted}
        for _ in range(SERIES_PER_STUDY):
            for _ in range(INSTANCES_PER_SERIES):
                yield _record(base, study, series, number)
                number += 1
            series += 1


_SOP_INSTANCE, _SERIES = tag_of("SOPInstanceUID"), tag_of("SeriesInstanceUID")
_INSTANCE_NUMBER, _SERIES_NUMBER = tag_of("InstanceNumber"), tag_of("SeriesNumber")


def _record(base: dict[int, Any], study: int, series: int, number: int) -> InstanceRecord:
    identity = InstanceIdentity(
        data.study_uid(study),
        data.series_uid(series),
        data.instance_uid(number),
        _SHAPE.sop_class_uid,
    )
    attributes = base | {
        _SOP_INSTANCE: (identity.sop_instance_uid,),
        _SERIES: (identity.series_instance_uid,),
        _INSTANCE_NUMBER: (str(number % INSTANCES_PER_SERIES + 1),),
        _SERIES_NUMBER: (str(series % SERIES_PER_STUDY + 1),),
    }
    key = f"{identity.study_instance_uid}/{identity.sop_instance_uid}"
    stored = StoredInstance(identity, data.EXPLICIT_LITTLE, key, 2048, 600)
    return InstanceRecord(stored, attributes)
