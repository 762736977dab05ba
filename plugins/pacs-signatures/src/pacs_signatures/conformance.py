"""Digital Signature Profiles in the conformance statement (PS3.2, Application Level Security)."""

from pacs_core.contracts import SecuritySection, SecurityStatement
from pacs_signatures.config import SignaturesConfig
from pacs_signatures.profile import Profile, title_of

_POLICIES = {
    "off": "Signatures of instances that arrive are stored, and not verified.",
    "warn": "Signatures of instances that arrive are verified; those not valid are logged.",
    "reject": "Instances that arrive with signatures that are not valid are refused (0124H).",
    "set-aside": "Instances that arrive with signatures that are not valid are refused (0124H), "
    "and kept apart.",
}


def state_signatures(config: SignaturesConfig) -> SecurityStatement:
    """Return which profiles there are, and what is done with signatures."""
    titles = ", ".join(dict.fromkeys(map(title_of, Profile)))
    paragraphs = [
        f"Signatures are made and verified by: {titles}. MACs are made by SHA-256, SHA-384 and "
        "SHA-512, and verified by RIPEMD-160, MD5 and SHA-1, too. Certified Timestamps are those "
        "of RFC 3161 (CMS_TSP). Private keys and certificates are files that the user names.",
        _POLICIES[config.on_ingest],
    ]
    if config.require and config.on_ingest != "off":
        paragraphs.append(f"An instance must have one by the {title_of(Profile(config.require))}.")
    return SecurityStatement(SecuritySection.APPLICATION, tuple(paragraphs))
