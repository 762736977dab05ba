"""Policies, as pure functions of what is known of a study and of one of its objects."""

from collections.abc import Callable, Sequence
from typing import Final

from attrs import frozen

from pacs_core.contracts import StoredInstance
from pacs_store_tiered.config import PolicyConfig
from pacs_store_tiered.interface import StudyFacts

DAY: Final = 24 * 3600.0


@frozen
class Candidate:
    """An object that may move.

    Attributes
    ----------
    instance : StoredInstance
    modality : str
        Of its series; empty if it has none, or no policy asks.
    tier : str
        The highest that has it.
    """

    instance: StoredInstance
    modality: str
    tier: str


def about(
    policies: Sequence[PolicyConfig], study: StudyFacts, now: float
) -> Sequence[PolicyConfig]:
    """Return the policies that may concern objects of a study."""
    return [each for each in policies if _concerns(each, study, now)]


def _concerns(policy: PolicyConfig, study: StudyFacts, now: float) -> bool:
    age = (now - study.arrived) / DAY
    unused = (now - study.used) / DAY
    return (
        age >= policy.older_than
        and (not policy.younger_than or age < policy.younger_than)
        and unused >= policy.unused_for
        and (study.complete or policy.incomplete or policy.to == "hot")
    )


def choose(
    policies: Sequence[PolicyConfig],
    candidate: Candidate,
    lacks_room: Callable[[str, float], bool],
) -> PolicyConfig | None:
    """Return the first policy that an object meets.

    Parameters
    ----------
    policies : sequence of PolicyConfig
        Those :func:`about` its study.
    candidate : Candidate
    lacks_room : callable
        Tells whether less than a part of the file system of a tier is free.
    """
    for policy in policies:
        if _meets(policy, candidate) and (
            not policy.free_below or lacks_room(candidate.tier, policy.free_below)
        ):
            return policy
    return None


def _meets(policy: PolicyConfig, candidate: Candidate) -> bool:
    instance = candidate.instance
    return (
        instance.size > policy.larger_than
        and (not policy.smaller_than or instance.size < policy.smaller_than)
        and (not policy.modalities or candidate.modality in policy.modalities)
        and (not policy.sop_classes or instance.identity.sop_class_uid in policy.sop_classes)
    )
