"""The contracts of authorizers and authenticators."""

import pytest
from pacs_core.contracts import Access, AccessDescriptor, NodeSettings, Origin, Principal, Setup
from pacs_core.testing.access_contract import (
    AuthenticatorContract,
    AuthorizerContract,
    sample_requests,
)

from {{ cookiecutter.__package }} import Config, Rule, pacs_access

CONFIG = Config(
    (
        Rule(("WORKSTATION", "ANYONE"), ("echo", "query", "retrieve")),
        Rule(("CTVIEWER",), ("query", "retrieve"), ("CT", "PT")),
    )
)


def by(name: str, action: str) -> Access:
    """Return what somebody wants to do."""
    return Access(action, Origin("DIMSE", name, principal=Principal(name)))


@pytest.fixture
def descriptor() -> AccessDescriptor:
    return pacs_access(Setup(NodeSettings(), {Config: CONFIG}))[0]


class TestRules(AuthorizerContract):
    allowed = (by("WORKSTATION", "query"), by("ANYONE", "echo"))
    restricted = (by("CTVIEWER", "query"), by("CTVIEWER", "retrieve"))
    denied = (by("WORKSTATION", "delete"), by("CTVIEWER", "store"), by("OTHER", "echo"))

    @pytest.fixture
    def descriptor(self, descriptor: AccessDescriptor) -> AccessDescriptor:
        return descriptor


class TestCallingTitles(AuthenticatorContract):
    accepted = ((next(sample_requests()), "ANYONE"),)

    @pytest.fixture
    def descriptor(self, descriptor: AccessDescriptor) -> AccessDescriptor:
        return descriptor
