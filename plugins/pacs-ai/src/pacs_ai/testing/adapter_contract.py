# ruff: noqa: D102, S101 - the names of the tests are their documentation
"""The contract suite of adapters.

Example
-------
::

    class TestAcme(InferenceAdapterContract):
        @pytest.fixture
        def adapter(self, acme_service) -> InferenceAdapter:
            return Acme(node, "acme", ServiceConfig("acme", url=acme_service.url))

        @pytest.fixture
        def away(self) -> InferenceAdapter:
            return Acme(node, "acme", ServiceConfig("acme", url="http://127.0.0.1:1/"))

        @pytest.fixture
        def slow(self, sleeping_service) -> InferenceAdapter:
            return Acme(node, "acme", ServiceConfig("acme", url=sleeping_service.url))

        @pytest.fixture
        def files(self) -> list[bytes]:
            return [...]  # DICOM files that the service has something to say of
"""

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import anyio
import pytest
from attrs import define, field, frozen

from pacs_ai.interface import (
    Answer,
    InferenceAdapter,
    Inputs,
    ResultTaker,
    ServiceAwayError,
    ServiceRefusedError,
)
from pacs_ai.models import (
    Assessment,
    InferenceInput,
    InferenceRequest,
    InferenceResult,
    RequestState,
    ResultState,
)
from pacs_core.contracts import StoredInstance
from pacs_core.dataset import read_file_meta

if TYPE_CHECKING:
    from pacs_dicomweb.api import Content

PATIENCE = 60.0
"""Seconds for an answer."""
WORKING = 2.0
"""Seconds for a service to get a request, before who asks is cancelled."""


@frozen
class _File:
    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    async def pieces(self) -> AsyncIterator[bytes]:
        yield self.data


class MemoryInputs(Inputs):
    """Files in memory as what a service is asked about.

    Parameters
    ----------
    files : sequence of bytes
    instances : sequence of StoredInstance
        The same in the archive of the adapter's node, for adapters that send from there.
    """

    def __init__(self, files: Sequence[bytes], instances: Sequence[StoredInstance] = ()) -> None:
        self._files = files
        self.instances = instances
        self.deidentify = ""
        self.opened = 0

    @asynccontextmanager
    async def open(self) -> "AsyncIterator[Sequence[Content]]":
        """See base."""
        self.opened += 1
        try:
            yield [_File(each) for each in self._files]
        finally:
            self.opened -= 1


@define
class MemoryResults(ResultTaker):
    """Keeps what a service answers."""

    taken: list[bytes] = field(factory=list)

    async def take(self, content: AsyncIterable[bytes]) -> InferenceResult:
        """See base."""
        data = b"".join([piece async for piece in content])
        self.taken.append(data)
        texts = ("acme", "1", "1.2", "1.2.1", "1.2.1.1", "1.2.3", "00", "")
        state, none = ResultState.ARCHIVED, Assessment.NONE
        return InferenceResult(
            len(self.taken), 1, *texts, state, (), (), 0.0, 0.0, "", none, "", 0.0, "", ""
        )


def make_request(files: Sequence[bytes]) -> InferenceRequest:
    """Return a request about files."""
    inputs = tuple(
        InferenceInput("1.2.1", read_file_meta(each).sop_instance_uid, "00") for each in files
    )
    waiting = RequestState.WAITING
    return InferenceRequest(
        7, "acme", "1", "1.2", inputs, 0, "a test", waiting, 0, "", "", 1.0, 0.0, 0.0, 1
    )


@pytest.mark.anyio
class InferenceAdapterContract:
    """What every adapter must do; inherit it, and override the fixtures."""

    @pytest.fixture
    def adapter(self) -> InferenceAdapter:
        """Return an adapter of a service that works."""
        raise NotImplementedError

    @pytest.fixture
    def away(self) -> InferenceAdapter | None:
        """Return an adapter of a service that nobody reaches; None if services come by themselves.

        An adapter that only lays down what a service fetches reaches nobody.
        """
        raise NotImplementedError

    @pytest.fixture
    def slow(self) -> InferenceAdapter | None:
        """Return an adapter of a service that takes a request and does not end with it.

        None if services come by themselves.
        """
        raise NotImplementedError

    @pytest.fixture
    def files(self) -> list[bytes]:
        """Return DICOM files that the service has something to say of."""
        raise NotImplementedError

    @pytest.fixture
    def inputs(self, files: list[bytes]) -> MemoryInputs:
        """Return them as what is asked about; override it for what is sent from the archive."""
        return MemoryInputs(files)

    async def test_results_are_whole_files_and_twice_is_as_good_as_once(
        self, adapter: InferenceAdapter, files: list[bytes], inputs: MemoryInputs
    ) -> None:
        await adapter.start()
        try:
            for _ in range(2):
                results = MemoryResults()
                with anyio.fail_after(PATIENCE):
                    answer = await adapter.ask(make_request(files), inputs, results)
                assert answer in Answer
                assert inputs.opened == 0
                assert all(read_file_meta(each).sop_instance_uid for each in results.taken)
                assert results.taken or answer is Answer.LATER
        finally:
            await adapter.stop()

    async def test_a_service_that_nobody_reaches_is_away(
        self, away: InferenceAdapter | None, files: list[bytes], inputs: MemoryInputs
    ) -> None:
        if away is None:
            pytest.skip("services come by themselves")
        await away.start()
        try:
            with anyio.fail_after(PATIENCE), pytest.raises(ServiceAwayError):
                await away.ask(make_request(files), inputs, MemoryResults())
            assert inputs.opened == 0
        finally:
            await away.stop()

    async def test_who_asks_is_cancelled_while_the_service_works(
        self, slow: InferenceAdapter | None, files: list[bytes], inputs: MemoryInputs
    ) -> None:
        if slow is None:
            pytest.skip("services come by themselves")
        await slow.start()
        try:
            results = MemoryResults()
            with anyio.fail_after(PATIENCE), anyio.move_on_after(WORKING) as scope:
                await slow.ask(make_request(files), inputs, results)
            assert scope.cancelled_caught, "it has not waited for the service"
            assert inputs.opened == 0
            assert results.taken == []
        finally:
            await slow.stop()

    async def test_a_request_is_looked_after_until_it_is_not_wanted_any_more(
        self, adapter: InferenceAdapter, files: list[bytes], inputs: MemoryInputs
    ) -> None:
        request = make_request(files)
        await adapter.start()
        try:
            with anyio.fail_after(PATIENCE):
                if await adapter.ask(request, inputs, MemoryResults()) is Answer.LATER:
                    assert await adapter.look(request) in Answer
                await adapter.cancel(request)
                with suppress(ServiceRefusedError):  # it may say that it has given it up
                    assert await adapter.look(request) in Answer
        finally:
            await adapter.stop()
