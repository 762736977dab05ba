"""``pacs find``."""

from contextlib import aclosing

from pacs_core.association import AssociationError, Proposal
from pacs_core.cli.errors import LIMITED, UsageError
from pacs_core.cli.formats import WRITERS, Format, MatchWriter
from pacs_core.cli.keys import UNIQUE_KEYS, Level, Root, at_level, hint_above, parse_keys
from pacs_core.cli.models import model_for
from pacs_core.cli.options import CLIENT, ClientOptions, Keys
from pacs_core.cli.output import complain, count
from pacs_core.cli.running import run_async
from pacs_core.cli.session import Session, open_session
from pacs_core.dataset import Attributes, tag_of
from pacs_core.dimse import Command

_PATIENT = ("PatientName", "PatientID")
_RETURNED: dict[Level, tuple[str, ...]] = {
    "patient": (*_PATIENT, "PatientBirthDate", "PatientSex"),
    "study": (
        *_PATIENT,
        "StudyDate",
        "StudyTime",
        "AccessionNumber",
        "ModalitiesInStudy",
        "StudyDescription",
        "NumberOfStudyRelatedInstances",
        "StudyInstanceUID",
    ),
    "series": (
        "Modality",
        "SeriesNumber",
        "SeriesDescription",
        "NumberOfSeriesRelatedInstances",
        "SeriesInstanceUID",
    ),
    "image": ("InstanceNumber", "SOPClassUID", "SOPInstanceUID"),
}
"""What is returned where no key without a value says it."""


def find(
    peer: str,
    /,
    *,
    level: Level = "study",
    key: Keys = None,
    root: Root | None = None,
    limit: int | None = None,
    format: Format = "table",  # noqa: A002 (the name of the option)
    options: ClientOptions = CLIENT,
) -> int:
    """Query a peer (C-FIND, PS3.4 C.4.1).

    JSON is an array with one object for each match, keyed by keyword: a value is a string,
    several are an array, none is null, a sequence is an array of objects.

    Parameters
    ----------
    peer
        AET@HOST:PORT, or the name of a configured peer.
    level
        What to look for.
    root
        Information model; study unless patients are looked for.
    limit
        Cancel the query after so many matches; the exit code is 4 if there are more.
    format
        How to print matches.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"--limit is 1 or more, not {limit}")
    keys = parse_keys(key or ())
    wanted = [tag_of(keyword) for keyword in _RETURNED[level]]
    if any(not values for values in keys.values()):
        wanted = [UNIQUE_KEYS[level]]
    identifier = {**keys, **{tag: () for tag in wanted if tag not in keys}}
    columns = tuple(identifier)
    return run_async(
        _find,
        open_session(peer, options),
        model_for(root, level).find,
        at_level(level, identifier),
        limit,
        WRITERS[format](columns),
        hint_above(level, root, identifier),
    )


async def _find(
    session: Session,
    sop_class: str,
    identifier: Attributes,
    limit: int | None,
    writer: MatchWriter,
    hint: str,
) -> int:
    found, is_cut = 0, False
    final: Command | None = None
    try:
        async with (
            session.associate([Proposal(sop_class)]) as association,
            aclosing(association.c_find(sop_class, identifier)) as responses,
        ):
            async for response, match in responses:
                final = response
                if match is None:
                    continue
                if found == limit:
                    is_cut = True
                    break
                writer.write(match)
                found += 1
    except AssociationError as error:
        raise session.failure(error) from error
    # Matches are shown even where the query fails after them; an empty table is not.
    if found:
        writer.close()
    if final is not None:
        session.check(final, "the query", hint)
    if not found:
        writer.close()
    if is_cut:
        complain(f"{count(found, 'match', 'matches')}; there are more: --limit cut them off")
        return LIMITED
    complain(count(found, "match", "matches") + (f"; {hint}" if hint and not found else ""))
    return 0
