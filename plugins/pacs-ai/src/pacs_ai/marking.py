"""Marks of results that nobody has assessed: their Series Description (0008,103E) says so.

A mark is a correction of the series, so that every door shows it and what is stored stays. It is
made before a result arrives, and taken back once none of the series is without an assessment, or
rejected.
"""

from typing import TYPE_CHECKING, Final

from pacs_ai.desk import DOOR, AiDesk
from pacs_ai.models import InferenceResult
from pacs_core.api.streams import closing
from pacs_core.contracts import Correction, EntityPath, Node, Origin
from pacs_core.dataset import tag_of

if TYPE_CHECKING:
    from pydicom import Dataset

MARK: Final = "AI, not accepted"

_DESCRIPTION: Final = tag_of("SeriesDescription")
_COMMENT: Final = "mark of AI results"


async def mark(node: Node, result: InferenceResult, header: "Dataset") -> None:
    """Mark the series of a result, unless it is marked.

    Parameters
    ----------
    node : Node
    result : InferenceResult
    header : Dataset
        Of the result.
    """
    series = _series(result)
    if await _marks(node, series):
        return
    described = str(header.get("SeriesDescription") or "")
    text = f"{MARK}: {described}" if described else MARK
    await node.archive.update(
        series,
        {_DESCRIPTION: (text[:64],)},
        Origin(DOOR),
        reason="COERCE",
        comment=_COMMENT,
        in_advance=True,
    )


async def remark(node: Node, desk: AiDesk, result: InferenceResult, header: "Dataset") -> None:
    """Mark the series of a result, or take the mark back, as its results are assessed by now."""
    service = desk.config.services.get(result.service)
    is_marking = service is not None and service.unassessed == "mark"
    if is_marking and await desk.records.is_withheld(result.study_uid, result.series_uid):
        await mark(node, result, header)
        return
    for correction in await _marks(node, _series(result)):
        await node.archive.revert(correction.number, Origin(DOOR), comment=_COMMENT)


def _series(result: InferenceResult) -> EntityPath:
    return EntityPath(study_instance_uid=result.study_uid, series_instance_uid=result.series_uid)


async def _marks(node: Node, series: EntityPath) -> list[Correction]:
    async with closing(node.archive.corrections(series)) as log:
        return [
            each
            async for each in log
            if each.is_in_force
            and each.entity == series
            and each.comment == _COMMENT
            and _DESCRIPTION in each.changes
        ]
