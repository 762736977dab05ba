"""An Orthanc server, asked over its REST API."""

import json
import re
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from typing import Any, ClassVar, Final

from attrs import field, frozen

from pacs_core.cli.other_archives import OtherArchive, OtherArchiveError, OtherInstance

_PAGE: Final = 200
_CHUNK: Final = 1 << 20
_TIMEOUT: Final = 60.0
_IDENTIFIER: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{8}){4}")
_ANSWER: Final = 64 << 20
"""Bytes of a list of resources, at most."""


def _without_slash(url: str) -> str:
    return url.rstrip("/")


@frozen
class OrthancServer(OtherArchive):
    """A server, by its URL.

    Attributes
    ----------
    url : str
    user, password : str
        If it asks for them.
    """

    maker: ClassVar[str] = "Orthanc"

    url: str = field(converter=_without_slash)
    user: str = ""
    password: str = field(default="", repr=False)

    def instances(self) -> Iterator[OtherInstance]:
        """See base."""
        since = 0
        while studies := self._list(f"/studies?expand&since={since}&limit={_PAGE}"):
            for study, study_uid in _identify(studies, "StudyInstanceUID"):
                found = self._list(f"/studies/{study}/instances")
                for name, uid in _identify(found, "SOPInstanceUID"):
                    yield OtherInstance(name, study_uid, uid, "")
            since += len(studies)

    def _list(self, path: str) -> list[Any]:
        with self._get(path) as answer:
            data = answer.read(_ANSWER + 1)
        try:
            page = json.loads(data) if len(data) <= _ANSWER else None
        except ValueError:
            page = None
        if not isinstance(page, list):
            raise OtherArchiveError(f"{self.url}{path} is not answered as Orthanc does")
        return page

    def digest(self, instance: OtherInstance) -> str:
        """See base."""
        try:
            with self._get(f"/instances/{instance.name}/attachments/dicom/md5") as answer:
                return answer.read(100).decode("ascii", "replace").strip()
        except _NotFoundError:
            return ""  # Orthanc was told to keep none

    def _chunks(self, instance: OtherInstance) -> Iterator[bytes]:
        with self._get(f"/instances/{instance.name}/file") as answer:
            while chunk := _read(answer):
                yield chunk

    def _get(self, path: str) -> HTTPResponse:
        request = urllib.request.Request(f"{self.url}{path}")  # noqa: S310, its scheme was looked at
        if self.user:
            pair = f"{self.user}:{self.password}".encode()
            request.add_header("authorization", f"Basic {b64encode(pair).decode()}")
        try:
            answer: HTTPResponse = urllib.request.urlopen(request, timeout=_TIMEOUT)  # noqa: S310
        except urllib.error.HTTPError as error:
            error.close()
            hint = ": give --orthanc-user and $ORTHANC_PASSWORD" if error.code == 401 else ""
            kind = _NotFoundError if error.code == 404 else OtherArchiveError
            raise kind(f"{self.url}{path} answers {error.code} {error.reason}{hint}") from error
        except (OSError, HTTPException) as error:
            raise OtherArchiveError(f"{self.url} does not answer: {error}") from error
        return answer


def _identify(resources: list[Any], keyword: str) -> Iterator[tuple[str, str]]:
    """Yield identifier and UID of resources."""
    for resource in resources:
        try:
            name, uid = str(resource["ID"]), str(resource["MainDicomTags"].get(keyword, ""))
        except (TypeError, KeyError, AttributeError) as error:
            raise OtherArchiveError(f"the server lists what is no resource: {error}") from error
        if not _IDENTIFIER.fullmatch(name):  # it becomes part of a URL
            raise OtherArchiveError("the server lists a resource that has no identifier")
        yield name, uid


class _NotFoundError(OtherArchiveError):
    """There is no such thing."""


def _read(answer: HTTPResponse) -> bytes:
    try:
        return answer.read(_CHUNK)
    except (OSError, HTTPException) as error:
        raise OtherArchiveError(f"it broke off: {error}") from error
