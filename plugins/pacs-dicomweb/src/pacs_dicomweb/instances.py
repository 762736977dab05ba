"""Instances of a resource, and what they are told apart by in caches."""

import hashlib
from collections.abc import Iterable

from pacs_web.api.http import HttpError
from starlette.requests import Request

from pacs_core.api.streams import closing
from pacs_core.contracts import (
    Archive,
    Availability,
    Fingerprint,
    InstanceNotFoundError,
    InstancePath,
    Level,
    NotOnlineError,
    Query,
    SingleValue,
    StoredInstance,
)
from pacs_dicomweb.search import UIDS
from pacs_dicomweb.service import Resource


def query_of(resource: Resource) -> Query:
    """Return the query for the instances of a resource."""
    uids = (
        (Level.STUDY, resource.study),
        (Level.SERIES, resource.series),
        (Level.IMAGE, resource.instance),
    )
    return Query(Level.IMAGE, tuple(SingleValue(UIDS[level], uid) for level, uid in uids if uid))


async def instances_of(archive: Archive, resource: Resource) -> list[StoredInstance]:
    """Return the instances of a resource, at least one.

    Raises
    ------
    InstanceNotFoundError
        There are none.
    """
    if resource.instance:
        return [await instance_of(archive, resource)]
    async with closing(archive.instances(query_of(resource))) as instances:
        found = [instance async for instance in instances]
    if not found:
        raise InstanceNotFoundError(f"there is no {resource}")
    return found


async def refuse_if_offline(archive: Archive, resource: Resource) -> None:
    """Say that instances of a resource are on a medium that is away, before a response begins.

    What is ``NEARLINE`` is recalled while the response is sent.

    Raises
    ------
    NotOnlineError
    """
    if await archive.availability(query_of(resource)) is Availability.OFFLINE:
        raise NotOnlineError(str(resource), Availability.OFFLINE, "somebody must make it available")


async def instance_of(archive: Archive, resource: Resource) -> StoredInstance:
    """Return the one instance of a resource.

    Raises
    ------
    InstanceNotFoundError
        There is none in this study and series.
    """
    found = await archive.locate(InstancePath(resource.study, resource.instance))
    if found is None or found.identity.series_instance_uid != resource.series:
        raise InstanceNotFoundError(f"there is no {resource}")
    return found


def entity_tag(instances: Iterable[StoredInstance], *form: str) -> str:
    """Return the ETag of what is made of instances; empty if their content is not known.

    Parameters
    ----------
    instances : iterable of StoredInstance
    *form : str
        What else decides the bytes of the answer, such as media type and transfer syntax.
    """
    digest = hashlib.blake2b("\n".join(form).encode(), digest_size=16)
    for instance in instances:
        if not instance.digest:
            return ""
        digest.update(instance.digest + instance.identity.sop_instance_uid.encode() + b"\0")
        if instance.corrections:
            digest.update(repr((instance.corrections, instance.identity)).encode())
    return f'"{digest.hexdigest()}"'


def tag_of_fingerprint(found: Fingerprint, *form: str) -> str:
    """Return the ETag as of :func:`entity_tag`, for what is made of all instances of a query."""
    digest = hashlib.blake2b("\n".join(form).encode() + found.digest, digest_size=16)
    return f'"{digest.hexdigest()}"' if found.digest else ""


def matches_tag(header: str, tag: str) -> bool:
    """Tell whether an If-None-Match names an ETag, weakly compared (RFC 9110 §8.8.3)."""
    if not header or not tag:
        return False
    given = {each.strip().removeprefix("W/") for each in header.split(",")}
    return "*" in given or tag in given


def is_unchanged(request: Request, tag: str) -> bool:
    """Tell whether the client has already what it asks for: 304.

    Raises
    ------
    HttpError
        As of :func:`require_match`.
    """
    require_match(request, tag)
    return matches_tag(request.headers.get("if-none-match", ""), tag)


def require_match(request: Request, tag: str = "") -> None:
    """Refuse what is asked of something else than there is: If-Match (RFC 9110 §13.1.1).

    Parameters
    ----------
    request : Request
    tag : str
        ETag of what there is, strongly compared; what has none matches nothing but ``*``.

    Raises
    ------
    HttpError
        412.
    """
    wanted = request.headers.get("if-match")
    if wanted is not None and {each.strip() for each in wanted.split(",")}.isdisjoint(("*", tag)):
        raise HttpError(412, "nothing was done: what is here is not what If-Match names")
