"""Table F.7.2-1 of PS3.4: which attributes a performed step must have, and when.

Each line has an attribute, a ``>`` for each level of sequences that it is in, and

- its type in N-CREATE, which holds for items of sequences in N-SET as well;
- whether N-SET may set it (``+``, else ``-``);
- its type in the final state (F.7.2.2.2), where that is another.

A type 1 with ``~`` is not insisted on where the site tolerates what modalities are known to leave
out; one with ``?`` is not insisted on for a step that was discontinued. Conditional types, and what
is of type 3, need no check.
"""

from collections.abc import Iterator
from typing import Final

from attrs import frozen

from pacs_core.dataset import tag_of, vr_of

_TABLE: Final = """
ScheduledStepAttributesSequence                         1   -
> StudyInstanceUID                                      1   -
> ReferencedStudySequence                               2   -
>> ReferencedSOPClassUID                                1   -
>> ReferencedSOPInstanceUID                             1   -
> AccessionNumber                                       2   -
> RequestedProcedureID                                  2   -
> RequestedProcedureDescription                         2   -
> ScheduledProcedureStepID                              2   -
> ScheduledProcedureStepDescription                     2   -
> ScheduledProtocolCodeSequence                         2   -
>> CodeMeaning                                          1~  -
PatientName                                             2   -
PatientID                                               2   -
IssuerOfPatientID                                       3   -
IssuerOfPatientIDQualifiersSequence                     3   -
OtherPatientIDsSequence                                 3   -
PatientBirthDate                                        2   -
PatientSex                                              2   -
ReferencedPatientSequence                               2   -
> ReferencedSOPClassUID                                 1   -
> ReferencedSOPInstanceUID                              1   -
AdmissionID                                             3   -
IssuerOfAdmissionIDSequence                             3   -
ServiceEpisodeID                                        3   -
IssuerOfServiceEpisodeIDSequence                        3   -
ServiceEpisodeDescription                               3   -
PerformedProcedureStepID                                1~  -
PerformedStationAETitle                                 1   -
PerformedStationName                                    2   -
PerformedLocation                                       2   -
PerformedProcedureStepStartDate                         1   -
PerformedProcedureStepStartTime                         1   -
PerformedProcedureStepStatus                            1   +   1
PerformedProcedureStepDescription                       2   +
PerformedProcedureTypeDescription                       2   +
ProcedureCodeSequence                                   2   +
> CodeMeaning                                           1~  +
ReasonForPerformedProcedureCodeSequence                 3   +
PerformedProcedureStepEndDate                           2   +   1~
PerformedProcedureStepEndTime                           2   +   1~
CommentsOnThePerformedProcedureStep                     3   +
PerformedProcedureStepDiscontinuationReasonCodeSequence 3   +
> CodeMeaning                                           1~  +
Modality                                                1   -
StudyID                                                 2   -
PerformedProtocolCodeSequence                           2   +
> CodeMeaning                                           1~  +
PerformedSeriesSequence                                 2   +   1?
> PerformingPhysicianName                               2   +
> ProtocolName                                          1~  +
> OperatorsName                                         2   +
> SeriesInstanceUID                                     1   +
> SeriesDescription                                     2   +
> RetrieveAETitle                                       2   +
> ReferencedImageSequence                               2   +
>> ReferencedSOPClassUID                                1   +
>> ReferencedSOPInstanceUID                             1   +
> ReferencedNonImageCompositeSOPInstanceSequence        2   +
>> ReferencedSOPClassUID                                1   +
>> ReferencedSOPInstanceUID                             1   +
"""


@frozen
class Rule:
    """A row of the table.

    Attributes
    ----------
    tag : int
    vr : str
    kind, final : str
        Type in N-CREATE and in the final state: ``"1"``, ``"2"``, ``"3"``; `final` may be empty.
    tolerance, final_tolerance : str
        ``"~"``, ``"?"`` or empty.
    is_settable : bool
    rules : tuple of Rule
        Of the items, if it is a sequence.
    """

    tag: int
    vr: str
    kind: str
    tolerance: str
    is_settable: bool
    final: str
    final_tolerance: str
    rules: "tuple[Rule, ...]" = ()


def _read(lines: list[str], level: int) -> Iterator[Rule]:
    while lines and _level(lines[0]) >= level:
        name, kind, settable, *final = lines.pop(0).lstrip("> ").split()
        tag, last = tag_of(name), (final or [""])[0]
        inner = tuple(_read(lines, level + 1)) if lines and _level(lines[0]) > level else ()
        yield Rule(tag, vr_of(tag), kind[:1], kind[1:], settable == "+", last[:1], last[1:], inner)


def _level(line: str) -> int:
    return len(line) - len(line.lstrip(">"))


RULES: Final = tuple(_read(_TABLE.strip().splitlines(), 0))
NOT_SETTABLE: Final = frozenset(rule.tag for rule in RULES if not rule.is_settable)
