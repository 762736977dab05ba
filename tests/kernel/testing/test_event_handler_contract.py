"""The suite for event handlers: a sound handler passes all of it, and no fault gets through."""

import pytest

from pacs_core.contracts import EventHandler, EventHandlerDescriptor, InstanceEventKind
from pacs_core.dataset import tag_of
from pacs_core.testing.event_handler_contract import EventHandlerContract

pytestmark = pytest.mark.anyio

NAME = tag_of("PatientName")


class Sound(EventHandler):
    def __init__(self):
        self.seen = set()

    async def handle(self, event):
        self.seen.add(event.instance.identity.sop_instance_uid)


class NeedsAName(Sound):
    async def handle(self, event):
        assert event.attributes[NAME]


class DislikesText(Sound):
    async def handle(self, event):
        "".join(map(str, event.attributes.get(NAME, ()))).encode()


class CountsTwice(Sound):
    async def handle(self, event):
        if event.kind is InstanceEventKind.STORED:
            assert event.instance.identity.sop_instance_uid not in self.seen
            await super().handle(event)


class TestSound(EventHandlerContract):
    @pytest.fixture
    def descriptor(self):
        return EventHandlerDescriptor("sound", lambda node: Sound())


@pytest.mark.parametrize(
    ("handler", "test", "arguments"),
    [
        (NeedsAName, "test_an_instance_without_attributes", ()),
        (NeedsAName, "test_hostile_attributes", ("empty",)),
        (NeedsAName, "test_a_deletion_of_what_was_never_heard_of", ()),
        (DislikesText, "test_hostile_attributes", ("surrogate",)),
        (CountsTwice, "test_the_same_event_twice", ()),
    ],
)
async def test_a_fault_is_found(handler, test, arguments):
    with pytest.raises((AssertionError, LookupError, UnicodeError)):
        await getattr(EventHandlerContract(), test)(handler(), *arguments)
