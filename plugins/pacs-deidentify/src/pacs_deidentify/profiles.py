"""Profiles as the configuration names them."""

import re
from collections.abc import Iterable, Mapping

from pydicom.datadict import tag_for_keyword

from pacs_core.dataset import transfer_syntax_uid
from pacs_deidentify.config import BASIC, DeidentifyConfig, DeviceConfig, ProfileConfig
from pacs_deidentify.options import Option
from pacs_deidentify.profile import Profile
from pacs_deidentify.pseudonyms import MIN_KEY, Pseudonyms
from pacs_deidentify.regions import Region, RegionRule


def make_profile(
    config: DeidentifyConfig, name: str, key: bytes, more: Iterable[Option] = ()
) -> Profile:
    """Return a profile.

    Parameters
    ----------
    config : DeidentifyConfig
    name : str
        Of the profile; empty for the configured one.
    key : bytes
    more : iterable of Option
        In addition to its own.

    Raises
    ------
    ValueError
        There is none of the name, the key is too short, or options exclude each other.
    """
    name = name or config.profile
    known = {BASIC: ProfileConfig(), **config.profiles}
    if name not in known:
        raise ValueError(f"there is no profile {name!r}; there are {', '.join(sorted(known))}")
    if len(key) < MIN_KEY:
        raise ValueError(f"the key has {len(key)} characters; it needs {MIN_KEY}")
    found = known[name]
    return Profile(
        pseudonyms=Pseudonyms(key),
        options=frozenset([*map(Option, found.options), *more]),
        name=name,
        max_shift=found.max_shift,
        keep=frozenset(map(_kept, found.keep)),
        remove=frozenset(map(_tag, found.remove)),
        safe_private=frozenset(map(_private, found.safe_private)),
        patterns=tuple(map(re.compile, found.patterns)),
        oldest_age=found.oldest_age,
        burned_in=found.burned_in,
        regions=tuple(map(_rule, config.devices)),
        blanked_syntax=found.blanked_syntax and transfer_syntax_uid(found.blanked_syntax),
        keeps_sound=found.keep_sound,
        proves=found.prove,
    )


def problems_of(config: DeidentifyConfig, peers: Mapping[str, str]) -> list[str]:
    """Return what is wrong with a configuration, beyond its types.

    Parameters
    ----------
    config : DeidentifyConfig
    peers : mapping of str to str
        Profiles of peers, by their names.
    """
    problems = []
    for name in {config.profile, *config.profiles}:
        try:
            make_profile(config, name, bytes(MIN_KEY))
        except ValueError as error:
            problems.append(f"profile {name}: {error}")
    known = sorted({BASIC, *config.profiles})
    return problems + [
        f"peers.{peer}.deidentify: there is no profile {name!r}; there are {', '.join(known)}"
        for peer, name in peers.items()
        if name not in known
    ]


def _kept(text: str) -> int:
    tag = _tag(text)
    if tag >> 16 & 1:
        # Whose a private element is says its creator, and not its tag (PS3.5 §7.8.1).
        raise ValueError(
            f"{text} is private, and is not kept by its tag: name CREATOR:GGGG:EE in safe_private, "
            f"and take the option {Option.RETAIN_SAFE_PRIVATE}"
        )
    return tag


def _tag(text: str) -> int:
    if len(text) == 8 and all(digit in "0123456789ABCDEFabcdef" for digit in text):
        return int(text, 16)
    tag = tag_for_keyword(text)
    if tag is None:
        raise ValueError(f"{text} is the keyword of no attribute")
    return tag


def _private(text: str) -> tuple[str, int, int]:
    creator, group, element = text.rsplit(":", 2)
    return creator, int(group, 16), int(element, 16)


def _rule(device: DeviceConfig) -> RegionRule:
    return RegionRule(
        sop_class_uid=device.sop_class,
        modality=device.modality,
        manufacturer=device.manufacturer,
        model=device.model,
        rows=device.rows,
        columns=device.columns,
        regions=tuple(Region(*region) for region in device.regions),
        outside_ultrasound_regions=device.outside_ultrasound_regions,
        no_faces=device.no_faces,
    )
