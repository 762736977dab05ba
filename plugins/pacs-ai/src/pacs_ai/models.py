"""Requests to services and their results, as they stand."""

from enum import StrEnum
from typing import Final

from attrs import field, frozen


class RequestState(StrEnum):
    """How far a request is."""

    WAITING = "waiting"
    """The service is to be asked, for the first time or again."""
    ASKED = "asked"
    """It has taken the request, and its results are to come."""
    ANSWERED = "answered"
    """Its results are here, or it had none."""
    FAILED = "failed"
    """It was given up: `reason` says why."""
    CANCELLED = "cancelled"


LIVE: Final = frozenset({RequestState.WAITING, RequestState.ASKED})
"""States of requests that have not ended."""


class ResultState(StrEnum):
    """What became of a result."""

    ARCHIVED = "archived"
    QUARANTINED = "quarantined"
    """It is kept aside: `reasons` say why."""
    RELEASED = "released"
    """It was quarantined, and somebody has had it archived all the same."""
    DISCARDED = "discarded"
    """It was quarantined, and is not kept any more."""


class Assessment(StrEnum):
    """What somebody says of a result (IHE RAD AIRA)."""

    NONE = ""
    ACCEPTED = "accepted"
    MODIFIED = "modified"
    """It is right but for what the person has changed."""
    REJECTED = "rejected"


@frozen
class InferenceInput:
    """An instance that a service is asked about: its UIDs, and the digest of its dataset in hex."""

    series_uid: str
    instance_uid: str
    digest: str


@frozen
class InferenceRequest:
    """A request to a service, as it stands.

    Attributes
    ----------
    number : int
        In the order in which they were made.
    service, version : str
        Who is asked, and the version of its model.
    study_uid : str
    inputs : tuple of InferenceInput
    priority : int
    asked_by : str
        The rule ("rule 1"), or whoever wanted it.
    state : RequestState
    attempts : int
        How often the service failed with it.
    reason : str
        Why it failed last.
    note : str
        What the service, or the adapter, has to say of its progress.
    created, asked, answered : float
        Seconds since 1970, as all times; 0 as long as it is not so.
    job : int
        Of the queue of jobs.
    """

    number: int
    service: str
    version: str
    study_uid: str
    inputs: tuple[InferenceInput, ...]
    priority: int
    asked_by: str
    state: RequestState
    attempts: int
    reason: str
    note: str
    created: float
    asked: float
    answered: float
    job: int


@frozen
class InferenceResult:
    """A result of a service: where it came from, and what became of it.

    Attributes
    ----------
    number : int
    request : int
        Number of the request; 0 if there is none that it could be the answer to.
    service, version : str
    study_uid, series_uid, instance_uid, sop_class_uid : str
        As it came, and if it is archived, as that.
    digest : str
        SHA-256 of the dataset as it came, in hex.
    algorithm : str
        What it says that it was made by: name, version, manufacturer.
    state : ResultState
    reasons : tuple of str
        Why it was quarantined.
    fixes : tuple of str
        Keywords of what was corrected.
    arrived, changed : float
    changed_by : str
        Who has released or discarded it.
    assessment : Assessment
    assessed_by : str
    assessed : float
    comment : str
        Of whoever has assessed it.
    assessment_uid : str
        SOP Instance UID of the SR that says so.
    """

    number: int
    request: int
    service: str
    version: str
    study_uid: str
    series_uid: str
    instance_uid: str
    sop_class_uid: str
    digest: str
    algorithm: str
    state: ResultState
    reasons: tuple[str, ...]
    fixes: tuple[str, ...]
    arrived: float
    changed: float
    changed_by: str
    assessment: Assessment
    assessed_by: str
    assessed: float
    comment: str
    assessment_uid: str


@frozen
class ResultFinding:
    """A finding of a result that can be assessed by itself: a segment, or a measurement group.

    Attributes
    ----------
    uid : str
        Its Tracking UID, or else its Observation UID; empty if it has none of its own.
    number : int
        Segment Number; 0 if it is no segment.
    label : str
    is_observation : bool
        Whether `uid` is its Observation UID.
    assessment : Assessment
    assessed_by : str
    assessed : float
    comment : str
    """

    uid: str
    number: int
    label: str
    is_observation: bool = False
    assessment: Assessment = Assessment.NONE
    assessed_by: str = ""
    assessed: float = 0.0
    comment: str = ""

    @property
    def key(self) -> str:
        """What it is known by: its UID, or its number."""
        return self.uid or str(self.number or "")


@frozen
class ServiceTotal:
    """Requests and results of a service and version, counted."""

    service: str
    version: str
    requests: dict[str, int] = field(factory=dict)
    results: dict[str, int] = field(factory=dict)
    assessments: dict[str, int] = field(factory=dict)
    findings: dict[str, int] = field(factory=dict)
    """Assessments of single findings."""
    mean_seconds: float = 0.0
    """From the request to its answer."""


@frozen
class RequestFilter:
    """Which requests or results are wanted: those that meet all that is given."""

    service: str = ""
    study_uid: str = ""
    request: int = 0
    states: tuple[str, ...] = ()
    before: int = 0
    """Only numbers below this one, if it is not 0."""
