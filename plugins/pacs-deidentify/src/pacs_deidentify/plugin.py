"""De-identification by the profiles of PS3.15 Annex E: ``pacs deidentify``."""

from collections.abc import Iterable

from pacs_core.contracts import (
    CapabilityDescriptor,
    Deidentifier,
    Node,
    SecurityStatement,
    Setup,
)
from pacs_core.plugins import hookimpl
from pacs_deidentify.config import DeidentifyConfig

__all__ = [
    "DeidentifyConfig",
    "pacs_capabilities",
    "pacs_check",
    "pacs_config",
    "pacs_conformance",
]


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.deidentify]``."""
    return DeidentifyConfig


@hookimpl
def pacs_check(setup: Setup) -> Iterable[str]:
    """Return what is wrong with profiles, and with peers that name some."""
    config = setup.config(DeidentifyConfig)
    named = _peers(setup)
    if config == DeidentifyConfig() and not named:
        return []
    # This brings pydicom, which each command would have to wait for.
    from pacs_deidentify.profiles import problems_of

    return problems_of(config, named)


@hookimpl
def pacs_conformance(setup: Setup) -> list[SecurityStatement]:
    """Return what the conformance statement says of profiles."""
    from pacs_deidentify.conformance import state_profiles

    return [state_profiles(setup.config(DeidentifyConfig), _peers(setup))]


def _peers(setup: Setup) -> dict[str, str]:
    """Return the profiles of peers, by their names."""
    peers = setup.settings.peers.items()
    return {name: peer.deidentify for name, peer in peers if peer.deidentify}


@hookimpl
def pacs_capabilities(setup: Setup) -> list[CapabilityDescriptor]:
    """Return the de-identifier, which starts a process when the first instance is asked for."""

    def create(node: Node) -> Deidentifier:
        from pacs_deidentify.service import ProcessDeidentifier

        config = setup.config(DeidentifyConfig)
        return ProcessDeidentifier(setup.plugin, config, transcoder=node.transcoder)

    return [CapabilityDescriptor("deidentifier", Deidentifier, create, always=True)]
