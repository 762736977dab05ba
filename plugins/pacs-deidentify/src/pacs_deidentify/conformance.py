"""Profiles in the conformance statement (PS3.2, Application Level Security)."""

from collections.abc import Mapping

from pacs_core.contracts import SecuritySection, SecurityStatement
from pacs_deidentify.config import DeidentifyConfig
from pacs_deidentify.options import METHOD_CODES, Option
from pacs_deidentify.tables import load_profile


def state_profiles(config: DeidentifyConfig, peers: Mapping[str, str]) -> SecurityStatement:
    """Return which profiles there are, and for whom.

    Parameters
    ----------
    config : DeidentifyConfig
    peers : mapping of str to str
        Profiles of peers, by their names.
    """
    paragraphs = [
        "As a de-identifier, the node supports the Basic Application Level Confidentiality Profile "
        f"(PS3.15 Annex E, Table E.1-1 of {load_profile().edition}). UIDs are replaced by UIDs of "
        "the root 2.25 that depend on the original and on a secret key; they are the same "
        "whenever an instance is de-identified."
    ]
    for name, profile in config.profiles.items():
        taken = [METHOD_CODES[option] for option in Option if option in profile.options]
        options = ", ".join(f"{code.meaning} ({code.value}, DCM)" for code in taken)
        paragraphs.append(f"The profile {name!r} has these options: {options or 'none'}.")
    paragraphs.append(
        f"WADO-URI answers anonymize=yes by the profile {config.profile!r} (PS3.18 §9.4.1.2)."
    )
    if peers:
        named = ", ".join(f"{peer} ({profile})" for peer, profile in sorted(peers.items()))
        paragraphs.append(f"These peers are sent de-identified instances only: {named}.")
    return SecurityStatement(SecuritySection.APPLICATION, tuple(paragraphs))
