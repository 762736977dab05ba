"""Table CC.2.5-3 of PS3.4: which attributes a step must have, when, and who may set them.

Each line has an attribute, a ``>`` for each level of sequences that it is in, and

- its type in N-CREATE: ``0`` must be empty, ``-`` is not the requestor's to give;
- its type in N-SET, if it is sent; ``-`` may not be set;
- what the final state demands: ``R`` a value, ``P`` one if the step is COMPLETED, ``X`` one if it
  is CANCELED, ``O`` nothing.

A demand of the final state with ``~`` is not insisted on unless the site is strict. Conditional
types are as mild as their condition allows. What is of type 3 at every place needs no line.
"""

from collections.abc import Iterator
from typing import Final

from attrs import frozen

from pacs_core.dataset import tag_of, vr_of

_TABLE: Final = """
ScheduledProcedureStepPriority                      1 1 R
ScheduledProcedureStepModificationDateTime          - - R
ProcedureStepLabel                                  1 1 O
WorklistLabel                                       2 1 O
ScheduledProcessingParametersSequence               2 2 O
ScheduledStationNameCodeSequence                    2 2 O
ScheduledStationClassCodeSequence                   2 2 O
ScheduledStationGeographicLocationCodeSequence      2 2 O
ScheduledHumanPerformersSequence                    3 2 O
> HumanPerformerCodeSequence                        1 1 O
> HumanPerformerName                                1 1 O
> HumanPerformerOrganization                        1 1 O
ScheduledProcedureStepStartDateTime                 1 1 R
ExpectedCompletionDateTime                          3 1 O
ScheduledProcedureStepExpirationDateTime            3 3 O
ScheduledWorkitemCodeSequence                       2 1 O
CommentsOnTheScheduledProcedureStep                 2 1 O
InputReadinessState                                 1 1 R
InputInformationSequence                            2 2 O
StudyInstanceUID                                    3 2 O
OutputDestinationSequence                           3 3 O
PatientName                                         2 - O
PatientID                                           2 - O
IssuerOfPatientID                                   2 - O
IssuerOfPatientIDQualifiersSequence                 2 - O
OtherPatientIDsSequence                             2 3 O
> PatientID                                         1 1 O
PatientBirthDate                                    2 - O
PatientSex                                          2 - O
AdmissionID                                         2 - O
IssuerOfAdmissionIDSequence                         2 - O
AdmittingDiagnosesDescription                       2 - O
AdmittingDiagnosesCodeSequence                      2 - O
ReferencedRequestSequence                           2 - O
> StudyInstanceUID                                  1 1 O
> AccessionNumber                                   2 2 O
> IssuerOfAccessionNumberSequence                   2 2 O
> OrderPlacerIdentifierSequence                     2 2 O
> OrderFillerIdentifierSequence                     2 2 O
> RequestedProcedureID                              2 2 O
> RequestedProcedureDescription                     2 2 O
> RequestedProcedureCodeSequence                    2 2 O
ReplacedProcedureStepSequence                       3 - O
> ReferencedSOPClassUID                             1 1 O
> ReferencedSOPInstanceUID                          1 1 O
TransactionUID                                      0 - O
ProcedureStepState                                  1 - R
ProcedureStepProgressInformationSequence            0 2 X
> ProcedureStepProgress                             3 1 O
> ProcedureStepProgressDescription                  3 1 O
> ProcedureStepCommunicationsURISequence            3 1 O
>> ContactURI                                       1 1 O
>> ContactDisplayName                               3 1 O
> ProcedureStepCancellationDateTime                 3 1 X
> ReasonForCancellation                             3 1 O
> ProcedureStepDiscontinuationReasonCodeSequence    3 1 X
UnifiedProcedureStepPerformedProcedureSequence      0 2 P
> ActualHumanPerformersSequence                     3 1 O
>> HumanPerformerCodeSequence                       3 3 O
>> HumanPerformerName                               3 3 O
>> HumanPerformerOrganization                       3 3 O
> PerformedStationNameCodeSequence                  2 2 P
> PerformedStationClassCodeSequence                 2 2 O
> PerformedStationGeographicLocationCodeSequence    2 2 O
> PerformedProcedureStepStartDateTime               3 1 P
> PerformedWorkitemCodeSequence                     3 1 P
> PerformedProcessingParametersSequence             3 1 O
> PerformedProcedureStepEndDateTime                 3 1 P
> OutputInformationSequence                         2 2 P~
"""

_VALUES: Final = """
ScheduledProcedureStepPriority HIGH MEDIUM LOW
InputReadinessState INCOMPLETE UNAVAILABLE READY
"""


@frozen
class Rule:
    """A row of the table.

    Attributes
    ----------
    tag : int
    vr : str
    create, change : str
        Type in N-CREATE and N-SET: ``"1"``, ``"2"``, ``"3"``, ``"0"`` or ``"-"``.
    final : str
        ``"R"``, ``"P"``, ``"X"`` or ``"O"``.
    is_mild : bool
        Whether the final state's demand is for strict sites only.
    rules : tuple of Rule
        Of the items, if it is a sequence.
    is_code : bool
        Whether its items are codes (PS3.4 Table CC.2.5-2a).
    """

    tag: int
    vr: str
    create: str
    change: str
    final: str
    is_mild: bool
    rules: "tuple[Rule, ...]" = ()
    is_code: bool = False


def _read(lines: list[str], level: int) -> Iterator[Rule]:
    while lines and _level(lines[0]) >= level:
        name, create, change, final = lines.pop(0).lstrip("> ").split()
        tag = tag_of(name)
        inner = tuple(_read(lines, level + 1)) if lines and _level(lines[0]) > level else ()
        is_code = name.endswith("CodeSequence")
        yield Rule(tag, vr_of(tag), create, change, final[0], final[1:] == "~", inner, is_code)


def _level(line: str) -> int:
    return len(line) - len(line.lstrip(">"))


RULES: Final = tuple(_read(_TABLE.strip().splitlines(), 0))
NOT_SETTABLE: Final = frozenset(rule.tag for rule in RULES if rule.change == "-")
TERMS: Final = {
    tag_of(name): frozenset(terms)
    for name, *terms in (line.split() for line in _VALUES.strip().splitlines())
}
"""Enumerated values (PS3.3 C.30.1, C.30.2)."""
SCHEDULED_MODULE: Final = frozenset(
    rule.tag for rule in RULES[: [r.tag for r in RULES].index(tag_of("PatientName"))]
)
"""Attributes whose change is dated by Scheduled Procedure Step Modification DateTime."""
