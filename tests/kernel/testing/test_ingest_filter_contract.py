"""The suite for ingest filters: a sound filter passes all of it, and no fault gets through."""

import pytest

from pacs_core.contracts import (
    Accept,
    Edit,
    IngestFilter,
    IngestFilterDescriptor,
    Reject,
)
from pacs_core.dataset import UnencodableValue, tag_of
from pacs_core.testing.ingest_filter_contract import IngestFilterContract

pytestmark = pytest.mark.anyio

NAME, ISSUER, STUDY = map(tag_of, ("PatientName", "IssuerOfPatientID", "StudyInstanceUID"))


class Sound(IngestFilter):
    async def judge(self, header, origin):
        return Edit({ISSUER: ("SITE",), NAME: None})


class NeedsAName(IngestFilter):
    async def judge(self, header, origin):
        return Accept() if header.elements.elements[NAME] else Reject("no name")


class Counts(IngestFilter):
    seen = 0

    async def judge(self, header, origin):
        self.seen += 1
        return Edit({ISSUER: (str(self.seen),)})


class Forgets(IngestFilter):
    async def judge(self, header, origin):
        return Edit({STUDY: None}, reason="")


class SaysNothing(IngestFilter):
    async def judge(self, header, origin):
        return None


class TestSound(IngestFilterContract):
    @pytest.fixture
    def descriptor(self):
        return IngestFilterDescriptor("sound", lambda node: Sound())


@pytest.mark.parametrize(
    ("made", "test", "arguments"),
    [
        (NeedsAName, "test_an_instance_that_says_nothing_but_who_it_is", ()),
        (Counts, "test_what_is_sent_again_gets_the_same_verdict", ()),
        (Forgets, "test_edits_can_be_carried_out", ("CT",)),
        (SaysNothing, "test_hostile_attributes", ("empty",)),
    ],
)
async def test_a_fault_is_found(made, test, arguments):
    with pytest.raises((AssertionError, LookupError, ValueError)):
        await getattr(IngestFilterContract(), test)(made(), *arguments)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Edit({}),
        lambda: Edit({ISSUER: ("SITE",)}, reason="BECAUSE"),
        lambda: Edit({0x0400_0561: None}),
        lambda: Reject("no", 0xB000),
        lambda: Reject("no", 0x0000),
    ],
)
def test_a_verdict_that_means_nothing_cannot_be_made(make):
    with pytest.raises(ValueError):
        make()


@pytest.mark.parametrize("tag", [0x7FE0_0010, 0x0008_0005, 0x0010_0000, 0x0002_0010])
def test_what_cannot_be_changed_is_said_at_once(tag):
    with pytest.raises(UnencodableValue):
        Edit({tag: None})
