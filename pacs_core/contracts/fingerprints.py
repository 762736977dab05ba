"""Fingerprints: whether what a query finds is what it found before, without a look at all of it."""

import hashlib
from collections.abc import AsyncIterator, Iterable

from attrs import frozen

from pacs_core.concurrency import closing
from pacs_core.contracts.instance import StoredInstance


@frozen
class Fingerprint:
    """How many instances there are, and a digest of their content.

    Attributes
    ----------
    instances : int
    digest : bytes
        16 bytes, of which others come out where an instance comes or goes, has another content, is
        corrected otherwise, or has another place in the order. Empty where the content of one is
        not known. It is compared with what the same index has made only.
    """

    instances: int
    digest: bytes

    @classmethod
    def of(cls, contents: Iterable[tuple[str, bytes | None, str | None]]) -> "Fingerprint":
        """Return the fingerprint of instances.

        Parameters
        ----------
        contents : iterable of tuple
            Of each, in the order of :meth:`Index.instances`: its SOP Instance UID, the digest of
            its dataset as it is stored, and the numbers of its corrections as text.
        """
        whole, number, known = hashlib.blake2b(digest_size=16), 0, True
        for uid, digest, corrections in contents:
            number += 1
            known = known and bool(digest)
            names = f"{uid}\0{corrections or ''}\0".encode("utf-8", "surrogatepass")
            whole.update((digest or b"") + names)
        return cls(number, whole.digest() if known else b"")

    @classmethod
    async def of_instances(cls, instances: AsyncIterator[StoredInstance]) -> "Fingerprint":
        """Return the fingerprint of instances that are iterated over."""
        async with closing(instances):
            return cls.of([_content_of(each) async for each in instances])


def _content_of(instance: StoredInstance) -> tuple[str, bytes, str]:
    corrections = " ".join(map(str, instance.corrections))
    return instance.identity.sop_instance_uid, instance.digest, corrections
