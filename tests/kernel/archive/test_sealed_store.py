"""A store that seals what another keeps: what wrappers may do, shown and held to the contract.

Each object begins with a header of its own: a nonce, and a seal that binds it to its key. The seal
cannot be made before the commit says which variant it is, and is made anew for the next one if
the key was taken.
"""

import hashlib
import hmac
from collections import defaultdict
from secrets import token_bytes

import pytest
from pacs_memory_archive import MemoryStore

from pacs_core.contracts import (
    DamagedObjectError,
    IngestOutcome,
    ObjectReader,
    StoredObject,
    WrappingStore,
    WrappingWriter,
)
from pacs_core.testing.object_store_contract import ObjectStoreContract

NONCE = 32
HEADER = NONCE + hashlib.sha256().digest_size
SECRET = b"secret"


def seal(nonce, key):
    return nonce + hmac.digest(SECRET, nonce + key.encode(), "sha256")


def mask(data, nonce, offset):
    """Apply the nonce over and over: in earnest this would be a cipher."""
    shift = offset % NONCE
    pad = (nonce * (len(data) // NONCE + 2))[shift : shift + len(data)]
    return (int.from_bytes(data) ^ int.from_bytes(pad)).to_bytes(len(data))


def outer(stored):
    return StoredObject(stored.key, stored.size - HEADER, stored.identity)


class SealedWriter(WrappingWriter):
    def __init__(self, wrapped):
        super().__init__(wrapped)
        self._nonce = token_bytes(NONCE)
        self._size = 0
        self._begun = False

    async def _begin(self):
        if not self._begun:
            self._begun = True
            await super().write([bytes(HEADER)])

    async def write(self, chunks):
        await self._begin()
        masked = []
        for chunk in chunks:
            masked.append(mask(bytes(chunk), self._nonce, self._size))
            self._size += len(chunk)
        await super().write(masked)

    async def commit(self, variant="", *, beginning=b""):
        header = seal(self._nonce, self.key(variant))
        await self._begin()
        if len(beginning) > self._size:
            raise ValueError("the beginning is longer than the object")
        beginning = header + mask(beginning, self._nonce, 0)
        return outer(await super().commit(variant, beginning=beginning))


class SealedReader(ObjectReader):
    def __init__(self, wrapped, nonce):
        self._wrapped = wrapped
        self._nonce = nonce
        self.size = wrapped.size - HEADER

    async def read(self, offset, length):
        return mask(await self._wrapped.read(HEADER + offset, length), self._nonce, offset)

    async def close(self):
        await self._wrapped.close()


class SealedStore(WrappingStore):
    def writer(self, identity, *, durable=True):
        return SealedWriter(super().writer(identity, durable=durable))

    def writer_at(self, key, *, durable=True):
        return SealedWriter(super().writer_at(key, durable=durable))

    async def open(self, key):
        reader = await super().open(key)
        header = await reader.read(0, HEADER)
        if header != seal(header[:NONCE], key):
            await reader.close()
            raise DamagedObjectError(f"the seal of {key} is broken")
        return SealedReader(reader, header[:NONCE])

    async def open_and_read(self, key, offset, length):
        reader = await self.open(key)
        return reader, await reader.read(offset, length)

    async def objects(self):
        async for stored in super().objects():
            yield outer(stored)


class TestSealedStore(ObjectStoreContract):
    places = defaultdict(dict)

    def make_store(self, directory):
        return SealedStore(MemoryStore(objects=self.places[directory], always_online=False))

    def parts_of(self, store):
        return [store.wrapped]

    async def send_away(self, store, key):
        store.wrapped.send_away([key])


@pytest.fixture
def sealed(make_bench):
    return make_bench(SealedStore(MemoryStore()))


@pytest.mark.anyio
async def test_an_archive_does_not_notice(sealed, dataset):
    archive = sealed.archive()
    await sealed.send(archive, dataset())
    assert await sealed.served() == dataset()
    kept = sealed.store.wrapped._objects
    assert not any(b"Doe^Jane" in data for data in kept.values())
    same = await sealed.send(archive, dataset())
    other = await sealed.send(archive, dataset(pixels=b"other"))
    outcomes = [same.outcome, other.outcome]
    assert outcomes == [IngestOutcome.IDENTICAL, IngestOutcome.SET_ASIDE]
    assert len(kept) == 2


@pytest.mark.anyio
async def test_a_variant_after_a_key_that_was_taken_is_sealed_anew(sealed, dataset):
    """An orphan has the key; the archive commits the same writer again, as a variant."""
    orphan = await sealed.put(dataset(pixels=b"of another time"))
    result = await sealed.send(sealed.archive(), dataset())
    assert result.outcome is IngestOutcome.STORED
    assert result.instance.key != orphan.key
    assert await sealed.served() == dataset()


@pytest.mark.anyio
async def test_an_object_under_another_key_is_none(sealed, dataset):
    result = await sealed.send(sealed.archive(), dataset())
    kept = sealed.store.wrapped._objects
    kept[result.instance.key.replace(".dcm", "+moved.dcm")] = kept[result.instance.key]
    with pytest.raises(DamagedObjectError, match="seal"):
        await sealed.store.open(result.instance.key.replace(".dcm", "+moved.dcm"))
