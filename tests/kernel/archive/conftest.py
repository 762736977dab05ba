"""An archive over real store and index in memory, and everything that can be seen of it."""

import sys
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from attrs import define, field

_DISTRIBUTION = Path(__file__).parents[2] / "distributions" / "pacs-memory-archive" / "src"
if str(_DISTRIBUTION) not in sys.path:
    sys.path.insert(0, str(_DISTRIBUTION))

from pacs_memory_archive import MemoryIndex, MemoryStore  # noqa: E402

from pacs_core.archive import EventDispatcher, NodeArchive  # noqa: E402
from pacs_core.contracts import (  # noqa: E402
    AuditTrail,
    EventHandler,
    InstanceIdentity,
    InstanceRecord,
    Level,
    Origin,
    Query,
    StoredInstance,
)
from pacs_core.dataset import encode_attributes, file_meta, read_file_meta, tag_of  # noqa: E402

EXPLICIT = "1.2.840.10008.1.2.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
ORIGIN = Origin("DIMSE", "MODALITY", "PACS", "10.0.0.1", 4711, association="a1")


class Trail(AuditTrail):
    """Keeps the events, or fails."""

    def __init__(self):
        self.events = []
        self.failure = None

    async def record(self, event):
        if self.failure is not None:
            raise self.failure
        self.events.append(event)


class Listener(EventHandler):
    """Keeps the events."""

    def __init__(self):
        self.events = []

    async def handle(self, event):
        self.events.append(event)

    @property
    def seen(self):
        return [(e.kind.value, e.instance.identity.sop_instance_uid) for e in self.events]


def make_dataset(uid="1.2.3.4", pixels=b"\1\2" * 50, *, study="1.2.3", series="1.2.3.1", **more):
    """Return an encoded CT slice with pixel data."""
    named = {
        "SOPClassUID": CT,
        "SOPInstanceUID": uid,
        "StudyInstanceUID": study,
        "SeriesInstanceUID": series,
        "PatientID": "P1",
        "PatientName": "Doe^Jane",
        "Modality": "CT",
        "InstanceNumber": "1",
        **more,
    }
    attributes = {tag_of(keyword): (value,) for keyword, value in named.items() if value}
    header = encode_attributes(attributes, EXPLICIT)
    return header + b"\xe0\x7f\x10\x00OB\0\0" + len(pixels).to_bytes(4, "little") + pixels


async def in_chunks(data, size=64, pauses=0):
    """Give a dataset bit by bit, as an association does."""
    view = memoryview(data)
    for start in range(0, len(view), size):
        await anyio.lowlevel.checkpoint()
        for _ in range(pauses):
            await anyio.lowlevel.checkpoint()
        yield view[start : start + size]


@define(eq=False)
class WholeFileConversion:
    """Store, index, and archives over them."""

    store: MemoryStore = field(factory=MemoryStore)
    index: MemoryIndex = field(factory=MemoryIndex)
    trail: Trail = field(factory=Trail)
    listener: Listener = field(factory=Listener)
    events: EventDispatcher = field(factory=EventDispatcher)

    def archive(self, **options):
        return NodeArchive(
            self.store,
            self.index,
            audit=self.trail,
            events=self.events,
            ae_title="PACS",
            **options,
        )

    @asynccontextmanager
    async def listening(self):
        self.events.add("listener", self.listener)
        async with anyio.create_task_group() as group:
            await self.events.start(group)
            try:
                yield self.listener
            finally:
                await self.events.stop()

    async def send(self, archive, data, uid="1.2.3.4", *, size=64, pauses=0, syntax=EXPLICIT):
        return await archive.ingest(
            in_chunks(data, size, pauses),
            transfer_syntax_uid=syntax,
            sop_class_uid=CT,
            sop_instance_uid=uid,
            origin=ORIGIN,
        )

    async def objects(self):
        """Return all objects by key."""
        found = {}
        async for stored in self.store.objects():
            async with await self.store.open(stored.key) as reader:
                found[stored.key] = await reader.read(0, stored.size)
        return found

    async def datasets(self):
        """Return the datasets of all objects by key."""
        objects = await self.objects()
        return {key: data[read_file_meta(data).dataset_offset :] for key, data in objects.items()}

    async def rows(self):
        """Return all indexed instances by key."""
        return {row.key: row async for row in self.index.instances(Query(Level.IMAGE))}

    async def served(self, uid="1.2.3.4"):
        """Return the dataset that is served under a UID."""
        rows = (await self.rows()).values()
        (instance,) = [row for row in rows if row.identity.sop_instance_uid == uid]
        async with await self.store.open(instance.key) as reader:
            assert reader.size == instance.size
            return await reader.read(instance.dataset_offset, instance.size)

    async def put(self, data, uid="1.2.3.4", *, variant="", study="1.2.3", series="1.2.3.1"):
        """Put an object into the store past the archive, as a crash leaves it."""
        identity = InstanceIdentity(study, series, uid, CT)
        prefix = file_meta(CT, uid, EXPLICIT)
        async with self.store.writer(identity) as writer:
            await writer.write([prefix, data])
            stored = await writer.commit(variant)
        return StoredInstance(identity, EXPLICIT, stored.key, stored.size, len(prefix))

    async def add(self, instance):
        """Add a row past the archive."""
        return (await self.index.add(InstanceRecord(instance))).existing


@pytest.fixture
def bench():
    return WholeFileConversion()


@pytest.fixture(scope="session")
def make_bench():
    """Make a bench, also with a store or index of one's own."""
    return WholeFileConversion


@pytest.fixture(scope="session")
def decay():
    """Change an object behind the store's back."""

    def change(bench, key, how):
        before = bench.store._objects[key]
        bench.store._objects[key] = how(before)
        assert bench.store._objects[key] != before

    return change


@pytest.fixture(scope="session")
def dataset():
    return make_dataset


@pytest.fixture(scope="session")
def chunks():
    return in_chunks


@pytest.fixture(scope="session")
def origin():
    return ORIGIN
