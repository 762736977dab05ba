"""Retrieval of what is not online: recalled first, by C-GET and C-MOVE alike (PS3.3 C.4.23.1.1)."""

import anyio
import pytest
from attrs import evolve
from pacs_sop_query_retrieve import QueryRetrieveConfig, pacs_service_providers

from pacs_core.contracts import RecallProgress, Setup
from pacs_core.testing.operations import accepted_context, answer

pytestmark = pytest.mark.anyio

STUDY = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2.1"}
AS_SCP = [accepted_context("1.2.840.10008.5.1.4.1.1.2", context_id=3, scp=True)]


class Tape:
    """An archive that brings its instances online after some reports, or never."""

    def __init__(self, archive, reports):
        self._archive = archive
        self._reports = reports
        self.recalled = 0

    def __getattr__(self, name):
        return getattr(self._archive, name)

    def on_behalf_of(self, origin, **options):
        return self

    async def recall(self, query, report=None):
        progress = RecallProgress(waiting=3)
        while self._reports is None or self.recalled < self._reports:
            self.recalled += 1
            await report(progress)
            await anyio.lowlevel.checkpoint()
        return progress


@pytest.fixture
def get(filled_node):
    """Return a function that makes the provider of C-GET over a tape."""

    def make(reports):
        setup = Setup(
            filled_node.settings, {QueryRetrieveConfig: QueryRetrieveConfig(pending_interval=0.0)}
        )
        (found,) = [each for each in pacs_service_providers(setup) if each.name == "C-GET"]
        tape = Tape(filled_node.archive, reports)
        return found.create(evolve(filled_node, archive=tape)), tape

    return make


async def test_pending_responses_come_while_nothing_can_be_sent(get, request_of):
    provider, tape = get(reports=4)
    operation = request_of("GET", contexts=AS_SCP, **STUDY)
    response = await answer(provider, operation)
    assert (response.status, response.completed, tape.recalled) == (0x0000, 3, 4)
    assert [sent.remaining for sent in operation.pending] == [3, 3, 3, 3, 2, 1, 0]


async def test_who_cancels_waits_no_longer(get, request_of):
    """FE00H, with all that remains (PS3.4 C.4.3.1.4)."""
    provider, _ = get(reports=None)
    operation = request_of("GET", contexts=AS_SCP, cancel_after=2, **STUDY)
    with anyio.fail_after(60):
        response = await answer(provider, operation)
    assert (response.status, response.remaining, response.completed) == (0xFE00, 3, 0)
    assert not operation.stores
