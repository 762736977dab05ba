"""Requirements of a plugin's distribution that this environment does not meet."""

from collections.abc import Iterator, Mapping

from attrs import frozen
from importlib_metadata import Distribution, PackageNotFoundError, version
from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion


@frozen
class Unmet:
    """A requirement that the environment does not meet.

    Attributes
    ----------
    requirement : str
        As the distribution states it.
    name : str
        Of the distribution that is required.
    installed : str
        The version that is there instead; empty if there is none.
    """

    requirement: str
    name: str
    installed: str

    def __str__(self) -> str:
        found = f"{self.installed} is installed" if self.installed else "it is not installed"
        return f"requires {self.requirement}, but {found}"


def unmet_requirements(distribution: Distribution) -> list[Unmet]:
    """Return what a distribution requires in any case, and does not have."""
    return list(_unmet(distribution, ""))


def missing_extras(distribution: Distribution) -> Mapping[str, tuple[Unmet, ...]]:
    """Return what is missing for each optional feature (extra) that is not wholly installed."""
    extras = distribution.metadata.get_all("Provides-Extra") or []
    always = set(_unmet(distribution, ""))
    found = {
        extra: tuple(unmet for unmet in _unmet(distribution, extra) if unmet not in always)
        for extra in extras
    }
    return {extra: unmet for extra, unmet in found.items() if unmet}


def _unmet(distribution: Distribution, extra: str) -> Iterator[Unmet]:
    for text in distribution.requires or ():
        requirement = _parse(text)
        if requirement is None:
            continue
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        installed = _version(requirement.name)
        if not installed or not _fits(requirement, installed):
            stated = f"{requirement.name}{requirement.specifier}"
            yield Unmet(stated, requirement.name, installed)


def _parse(text: str) -> Requirement | None:
    try:
        return Requirement(text)
    except InvalidRequirement:
        return None


def _fits(requirement: Requirement, installed: str) -> bool:
    try:
        return requirement.specifier.contains(installed, prereleases=True)
    except InvalidVersion:  # of something that no index would take; who installed it knows
        return True


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
