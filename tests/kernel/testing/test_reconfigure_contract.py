"""The suite for components that take other settings finds those that do it wrongly."""

import pytest
from attrs import field, frozen

from pacs_core.contracts import RELOADABLE, Component, NodeSettings, Setup
from pacs_core.testing.reconfigure_contract import ReconfigureContract

pytestmark = pytest.mark.anyio


@frozen
class Config:
    size: int = field(default=1, metadata=RELOADABLE)
    place: str = "here"


class Careful(Component):
    def __init__(self):
        self.size = 1

    async def reconfigure(self, setup):
        size = setup.config(Config).size
        if size < 0:
            raise ValueError(f"size: {size} is less than nothing")
        self.size = size


class Hasty(Careful):
    async def reconfigure(self, setup):
        self.size = setup.config(Config).size
        await super().reconfigure(setup)


class Deaf(Component):
    size = 1


def setup_of(**values):
    return Setup(NodeSettings(), {Config: Config(**values)})


class TestCareful(ReconfigureContract):
    @pytest.fixture
    def setup(self):
        return setup_of()

    @pytest.fixture
    def other(self):
        return setup_of(size=2)

    @pytest.fixture
    def refused(self):
        return setup_of(size=-1)

    @pytest.fixture
    def component(self):
        return Careful()

    async def check(self, component, setup):
        assert component.size == setup.config(Config).size


async def test_one_that_changes_before_it_refuses_is_found():
    contract = TestCareful()
    with pytest.raises(AssertionError):
        await contract.test_one_that_refuses_goes_on_as_before(
            Hasty(), setup_of(), setup_of(size=2), setup_of(size=-1)
        )


async def test_one_that_does_not_listen_is_found():
    with pytest.raises(AssertionError, match="override"):
        await TestCareful().test_it_takes_other_settings_and_goes_back(
            Deaf(), setup_of(), setup_of(size=2)
        )


def test_a_key_without_the_mark_is_found():
    with pytest.raises(AssertionError, match="place: give it metadata=RELOADABLE"):
        TestCareful().test_the_keys_that_differ_are_marked(setup_of(), setup_of(place="there"))
