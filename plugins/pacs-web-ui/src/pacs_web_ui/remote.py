"""Studies of a peer: found there by C-FIND, retrieved to this node by C-MOVE (PS3.4 Annex C)."""

from collections.abc import AsyncIterator, Mapping
from typing import Final

from attrs import frozen
from pacs_web.api.http import HttpError

from pacs_core.api.streams import closing
from pacs_core.association import AssociationError, Proposal
from pacs_core.contracts import Archive, Level, Node, Peer, Query, UidList
from pacs_core.dataset import Attributes, tag_of
from pacs_core.dimse import Command, StatusCategory, category, describe
from pacs_web_ui.studies import TAGS, Study, model_of
from pacs_web_ui.transfers import TransferReport

STUDY_ROOT_FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_ROOT_MOVE: Final = "1.2.840.10008.5.1.4.1.2.2.2"
MOST: Final = 200
"""Studies after which a query is cancelled."""

_LEVEL: Final = tag_of("QueryRetrieveLevel")
_STUDY: Final = tag_of("StudyInstanceUID")
_SERIES: Final = tag_of("SeriesInstanceUID")


@frozen
class RemoteStudies:
    """Studies that a peer has, and whether these are all that match."""

    studies: tuple[Study, ...]
    complete: bool = True


async def find_remote_studies(
    node: Node, peer: Peer, keys: Mapping[int, str], most: int = MOST
) -> RemoteStudies:
    """Return studies that match at a peer; the query is cancelled once there are enough.

    Parameters
    ----------
    node : Node
    peer : Peer
    keys : mapping of int to str
        Matching keys by tag (PS3.4 C.2.2.2).
    most : int

    Raises
    ------
    HttpError
        502: the peer does not answer, or answers that it failed.
    """
    identifier: Attributes = dict.fromkeys(TAGS[Study].values(), ())
    identifier = {**identifier, _LEVEL: ("STUDY",), **{tag: (text,) for tag, text in keys.items()}}
    found: list[Study] = []
    try:
        async with (
            node.connect(peer, [Proposal(STUDY_ROOT_FIND)]) as association,
            closing(association.c_find(STUDY_ROOT_FIND, identifier)) as responses,
        ):
            async for response, match in responses:
                if match is None:
                    _check(response, peer)
                elif len(found) == most:
                    return RemoteStudies(tuple(found), complete=False)
                else:
                    found.append(model_of(Study, match))
    except (AssociationError, OSError) as error:
        raise HttpError(502, _told_of(peer, error)) from error
    return RemoteStudies(tuple(found))


async def count_held(archive: Archive, studies: RemoteStudies) -> dict[str, int]:
    """Return how many instances the archive holds of each of these studies, by its UID."""
    uids = tuple(each.study_instance_uid for each in studies.studies if each.study_instance_uid)
    if not uids:
        return {}
    query = Query(Level.STUDY, (UidList(_STUDY, uids),), frozenset(TAGS[Study].values()))
    async with closing(archive.search(query)) as found:
        held = [model_of(Study, each) async for each in found]
    return {each.study_instance_uid: each.number_of_study_related_instances for each in held}


async def retrieve(
    node: Node, peer: Peer, study: str, series: str = ""
) -> AsyncIterator[TransferReport]:
    """Let a peer send a study, or a series of it, to this node; tell how far that is.

    Whoever closes the generator cancels it (C-CANCEL, PS3.4 C.4.2.1.4.3).

    Parameters
    ----------
    node : Node
    peer : Peer
        Knows under which address this node's AE title is reached.
    study, series : str
        UIDs.
    """
    identifier: Attributes = {_LEVEL: ("SERIES" if series else "STUDY",), _STUDY: (study,)}
    if series:
        identifier = {**identifier, _SERIES: (series,)}
    report = TransferReport()
    try:
        async with (
            node.connect(peer, [Proposal(STUDY_ROOT_MOVE)]) as association,
            closing(
                association.c_move(STUDY_ROOT_MOVE, identifier, node.settings.ae_title)
            ) as responses,
        ):
            async for response, _ in responses:
                report = _report(response, report)
                yield report
    except (AssociationError, OSError) as error:
        yield report.failing(_told_of(peer, error))


def _told_of(peer: Peer, error: Exception) -> str:
    """Return what went wrong, with the peer, which errors of connecting name by themselves."""
    text = str(error)
    return text if text.startswith(str(peer)) else f"{peer}: {text}"


def _report(response: Command, before: TransferReport) -> TransferReport:
    """Return what the numbers of sub-operations say (PS3.7 §9.1.4.1.7 to .10)."""
    completed = response.number_of_completed_suboperations
    failed = response.number_of_failed_suboperations
    if completed is None or failed is None:  # they are optional
        arrived, failed = before.arrived, before.failed
    else:
        arrived = completed + (response.number_of_warning_suboperations or 0)
    left = response.number_of_remaining_suboperations or 0
    total = max(arrived + failed + left, before.total)
    report = TransferReport(total, arrived, failed, before.reasons)
    if category(response.status or 0) is StatusCategory.FAILURE:
        return report.failing(_words(response))
    return report


def _check(response: Command, peer: Peer) -> None:
    if category(response.status or 0) is StatusCategory.FAILURE:
        raise HttpError(502, f"{peer}: {_words(response)}")


def _words(response: Command) -> str:
    comment = response.error_comment or ""
    return describe(response.status or 0) + (f": {comment}" if comment else "")
