# ruff: noqa: D102 - the names of the tests are their documentation
"""The contract of components that take other settings while they run, as tests.

Inherit, and say what a component takes, what it refuses, and how to see what it goes by.

Example
-------
::

    class TestLampReconfigure(ReconfigureContract):
        @pytest.fixture
        def setup(self) -> Setup:
            return Setup(NodeSettings(), {Config: Config(colour="red")})

        @pytest.fixture
        def other(self) -> Setup:
            return Setup(NodeSettings(), {Config: Config(colour="blue")})

        @pytest.fixture
        def component(self, setup: Setup) -> Component:
            return Lamp(memory_node(), setup.config(Config))

        async def check(self, component: Component, setup: Setup) -> None:
            assert component.colour == setup.config(Config).colour
"""

from collections.abc import AsyncIterator

import pytest
from attrs import fields

from pacs_core.contracts import Component, Setup, is_reloadable


class ReconfigureContract:
    """What every component must do that takes other settings while it runs.

    Subclass it in a test module, and define the fixtures ``setup``, ``other`` and ``component``,
    and the method :meth:`check`.
    """

    pytestmark = pytest.mark.anyio

    @pytest.fixture
    def setup(self) -> Setup:
        """Return the setup that `component` is created with."""
        raise NotImplementedError("define the fixture `setup`")

    @pytest.fixture
    def other(self) -> Setup:
        """Return a setup that it can take."""
        raise NotImplementedError("define the fixture `other`")

    @pytest.fixture
    def refused(self) -> Setup | None:
        """Return a setup that it refuses; None if it takes all that `pacs_check` lets pass."""
        return None

    @pytest.fixture
    def component(self, setup: Setup) -> Component:
        """Return the component, created, and not started."""
        raise NotImplementedError("define the fixture `component`")

    async def check(self, component: Component, setup: Setup) -> None:
        """Assert that the running component goes by the settings of a setup."""
        raise NotImplementedError("define the method `check`")

    @pytest.fixture
    async def running(self, component: Component) -> AsyncIterator[Component]:
        """Return the component, started; stopped after the test."""
        await component.start()
        yield component
        await component.stop()

    def test_the_keys_that_differ_are_marked(self, setup: Setup, other: Setup) -> None:
        for schema, config in setup.configs.items():
            for each in fields(schema):
                if getattr(config, each.name) != getattr(other.configs[schema], each.name):
                    assert is_reloadable(each), f"{each.name}: give it metadata=RELOADABLE"

    async def test_it_takes_other_settings_and_goes_back(
        self, running: Component, setup: Setup, other: Setup
    ) -> None:
        assert type(running).reconfigure is not Component.reconfigure, "override `reconfigure`"
        await self.check(running, setup)
        for each in (other, setup, other):
            await running.reconfigure(each)
            await self.check(running, each)

    async def test_the_same_settings_again_do_no_harm(
        self, running: Component, setup: Setup, other: Setup
    ) -> None:
        for each in (setup, setup, other, other):
            await running.reconfigure(each)
            await self.check(running, each)

    async def test_one_that_refuses_goes_on_as_before(
        self, running: Component, setup: Setup, other: Setup, refused: Setup | None
    ) -> None:
        if refused is None:
            pytest.skip("it takes everything")
        for each in (setup, other):
            await running.reconfigure(each)
            with pytest.raises(ValueError, match=r"\S+ \S+"):  # a sentence for the log
                await running.reconfigure(refused)
            await self.check(running, each)
