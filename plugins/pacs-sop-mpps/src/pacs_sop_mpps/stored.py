"""Performed steps and what is stored of them: which instances a modality made are not here."""

from typing import Final

from pacs_core.contracts import Archive, Level, Query, UidList
from pacs_core.dataset import tag_of
from pacs_sop_mpps.steps import SERIES_UID, STUDY_UID, PerformedStep

_INSTANCE_UID: Final = tag_of("SOPInstanceUID")


async def missing_instances(archive: Archive, step: PerformedStep) -> frozenset[str]:
    """Return the SOP Instance UIDs that a step refers to, and of which the archive has none.

    A step may have been completed long before its images come (PS3.4 F.7.2.2.2).

    Parameters
    ----------
    archive : Archive
        Of a node, or on behalf of somebody.
    step : PerformedStep

    Raises
    ------
    LookupError
        The node has no archive.
    """
    made = {uid for series in step.series for uid in series.instances}
    if not made:
        return frozenset()
    query = Query(
        Level.IMAGE,
        (
            UidList(STUDY_UID, step.studies),
            UidList(SERIES_UID, tuple(series.series_uid for series in step.series)),
        ),
        frozenset({_INSTANCE_UID}),
    )
    async for found in archive.search(query):
        made.difference_update(str(uid) for uid in found.get(_INSTANCE_UID, ()))
    return frozenset(made)
