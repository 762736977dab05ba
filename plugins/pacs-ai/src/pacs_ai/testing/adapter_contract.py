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
        def files(self) -> list[bytes]:
            return [...]  # DICOM files that the service has something to say of
"""

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest
from attrs import define, field, frozen

from pacs_ai.interface import Answer, InferenceAdapter, Inputs, ResultTaker, ServiceAwayError
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


@frozen
class _File:
    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    async def pieces(self) -> AsyncIterator[bytes]:
        yield self.data


class MemoryInputs(Inputs):
    """Files in memory as what a service is asked about."""

    def __init__(self, files: Sequence[bytes]) -> None:
        self._files = files
        self.instances: Sequence[StoredInstance] = ()
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
    def away(self) -> InferenceAdapter:
        """Return an adapter of a service that nobody reaches."""
        raise NotImplementedError

    @pytest.fixture
    def files(self) -> list[bytes]:
        """Return DICOM files that the service has something to say of."""
        raise NotImplementedError

    async def test_results_are_whole_files_and_twice_is_as_good_as_once(
        self, adapter: InferenceAdapter, files: list[bytes]
    ) -> None:
        await adapter.start()
        try:
            for _ in range(2):
                inputs, results = MemoryInputs(files), MemoryResults()
                with anyio.fail_after(PATIENCE):
                    answer = await adapter.ask(make_request(files), inputs, results)
                assert answer in Answer
                assert inputs.opened == 0
                assert all(read_file_meta(each).sop_instance_uid for each in results.taken)
                assert results.taken or answer is Answer.LATER
        finally:
            await adapter.stop()

    async def test_a_service_that_nobody_reaches_is_away(
        self, away: InferenceAdapter, files: list[bytes]
    ) -> None:
        await away.start()
        try:
            inputs = MemoryInputs(files)
            with anyio.fail_after(PATIENCE), pytest.raises(ServiceAwayError):
                await away.ask(make_request(files), inputs, MemoryResults())
            assert inputs.opened == 0
        finally:
            await away.stop()

    async def test_who_asks_may_be_cancelled(
        self, adapter: InferenceAdapter, files: list[bytes]
    ) -> None:
        await adapter.start()
        try:
            inputs = MemoryInputs(files)
            with anyio.CancelScope() as scope:
                scope.cancel()
                await adapter.ask(make_request(files), inputs, MemoryResults())
            assert inputs.opened == 0
        finally:
            await adapter.stop()
