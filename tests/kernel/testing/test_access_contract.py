"""The suites of access parts hold for a distribution of a third party, and find what is wrong."""

import sys
from pathlib import Path

import pytest

from pacs_core.contracts import (
    Access,
    AccessDescriptor,
    Allow,
    AssociationObserver,
    Authenticator,
    Authorizer,
    Deny,
    NodeSettings,
    Origin,
    Principal,
    Refused,
    Restrict,
    Setup,
    SingleValue,
)
from pacs_core.dataset import tag_of
from pacs_core.testing.access_contract import (
    AuthenticatorContract,
    AuthorizerContract,
    ObserverContract,
    sample_requests,
)
from pacs_core.testing.operations import memory_node
from pacs_core.upper_layer import NO_REASON_GIVEN

pytestmark = pytest.mark.anyio

SOURCE = Path(__file__).parents[2] / "distributions" / "pacs-rules" / "src"
if str(SOURCE) not in sys.path:
    sys.path.insert(0, str(SOURCE))

from pacs_rules import Config, Rule, pacs_access  # noqa: E402

CONFIG = Config(
    roles={"ANYONE": ("physician",)},
    rule=(
        Rule(("physician",), ("query", "retrieve")),
        Rule(("STUDENT",), ("query",), modalities=("CT",), studies=("1.2.3",)),
    ),
)


def by(name: str, action: str, *roles: str) -> Access:
    return Access(action, Origin("DIMSE", name, principal=Principal(name, frozenset(roles))))


def rules() -> AccessDescriptor:
    return pacs_access(Setup(NodeSettings(), {Config: CONFIG}))[0]


class TestRules(AuthorizerContract):
    allowed = (by("X", "query", "physician"),)
    denied = (by("X", "query"), by("STUDENT", "delete"))
    restricted = (by("STUDENT", "query"),)

    @pytest.fixture
    def descriptor(self):
        return rules()


class TestAETitles(AuthenticatorContract):
    accepted = ((next(sample_requests()), "ANYONE"),)

    @pytest.fixture
    def descriptor(self):
        return rules()


class Visitors(AssociationObserver):
    def __init__(self):
        self.here = set()

    async def accepted(self, association):
        self.here.add(association.id)

    async def ended(self, association, reason):
        self.here.discard(association.id)


class TestVisitors(ObserverContract):
    @pytest.fixture
    def descriptor(self):
        return AccessDescriptor("visitors", observer=lambda node: Visitors())


class Bad(Authorizer):
    def __init__(self, verdict):
        self.verdict = verdict

    async def authorize(self, access):
        if self.verdict is None:
            raise KeyError(access.origin.host)
        return self.verdict


SUITE = AuthorizerContract()


@pytest.mark.parametrize(
    ("verdict", "test"),
    [
        (None, SUITE.test_whatever_is_asked_is_judged),
        (True, SUITE.test_whatever_is_asked_is_judged),
        (Deny(""), SUITE.test_denials_say_why_in_one_line),
        (Deny("one\ntwo"), SUITE.test_denials_say_why_in_one_line),
        (Allow(), SUITE.test_denials_say_why_in_one_line),
    ],
    ids=range(5),
)
async def test_what_is_wrong_with_an_authorizer_is_found(verdict, test):
    if verdict == Allow():
        await test(Bad(verdict))
        return
    with pytest.raises((AssertionError, KeyError)):
        await test(Bad(verdict))


@pytest.mark.parametrize(
    "conditions", [(), (SingleValue(tag_of("ModalitiesInStudy"), "CT"),), ("Modality",)], ids=str
)
async def test_restrictions_that_cannot_be_applied_are_found(conditions):
    with pytest.raises((AssertionError, AttributeError, TypeError)):
        await SUITE.test_restrictions_can_be_applied(Bad(Restrict(conditions)), memory_node())


class Talkative(Authenticator):
    async def authenticate(self, request, origin):
        identity = request.user_information.user_identity
        said = identity.secondary.decode() if identity else "nothing"
        return Refused(NO_REASON_GIVEN, f"{said!r} is wrong")


async def test_an_authenticator_that_gives_passcodes_away_is_found():
    suite = AuthenticatorContract()
    with pytest.raises(AssertionError):
        await suite.test_nothing_that_is_said_has_a_passcode(Talkative())
    await suite.test_refusals_are_those_of_the_standard(Talkative())
