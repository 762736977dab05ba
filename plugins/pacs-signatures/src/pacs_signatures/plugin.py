"""Digital signatures in datasets (PS3.15 Annex C): made, verified, and judged when they arrive."""

from collections.abc import Iterable
from pathlib import Path

from pacs_core.contracts import (
    IngestFilter,
    IngestFilterDescriptor,
    Node,
    SecurityStatement,
    Setup,
)
from pacs_core.plugins import hookimpl
from pacs_signatures.config import SignaturesConfig

__all__ = [
    "SignaturesConfig",
    "pacs_check",
    "pacs_config",
    "pacs_conformance",
    "pacs_ingest_filters",
]


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.signatures]``."""
    return SignaturesConfig


@hookimpl
def pacs_check(setup: Setup) -> Iterable[str]:
    """Return which certificates and revocation lists cannot be read."""
    config, problems = setup.config(SignaturesConfig), []
    if config.on_ingest == "off":
        return []
    from pacs_signatures.revocation import load_lists
    from pacs_signatures.trust import load_store

    for key in ("trusted", "timestamp_authorities", "revocation_lists"):
        if path := getattr(config, key):
            try:
                load_lists([Path(path)]) if key == "revocation_lists" else load_store(Path(path))
            except (OSError, ValueError) as error:
                problems.append(f"{key}: {path}: {error}")
    return problems


@hookimpl
def pacs_ingest_filters(setup: Setup) -> list[IngestFilterDescriptor]:
    """Return the filter, if signatures are to be verified."""
    config = setup.config(SignaturesConfig)

    def create(node: Node) -> IngestFilter:
        from pacs_signatures.filter import SignatureFilter

        return SignatureFilter(node, config)

    return [] if config.on_ingest == "off" else [IngestFilterDescriptor("signatures", create)]


@hookimpl
def pacs_conformance(setup: Setup) -> list[SecurityStatement]:
    """Return what the conformance statement says of signatures."""
    from pacs_signatures.conformance import state_signatures

    return [state_signatures(setup.config(SignaturesConfig))]
