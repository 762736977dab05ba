"""A server of DICOMweb that is asked: Search and Retrieve transactions (PS3.18 §10.6, §10.4)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from attrs import frozen
from pacs_dicomweb.api import DicomWebClient, DicomWebError, open_client, read_file

from pacs_core.api.streams import closing
from pacs_core.contracts import DicomWebPeer, IngestError, Node, Origin, StoredInstance
from pacs_core.dataset import Attributes, keyword_of, tag_of
from pacs_lifecycle.archives import AnotherArchive, Keys
from pacs_lifecycle.retrieving import MOST, RetrievalError

_STUDY = tag_of("StudyInstanceUID")
_SERIES = tag_of("SeriesInstanceUID")


@frozen
class WebArchive(AnotherArchive):
    """A server of DICOMweb.

    Attributes
    ----------
    node : Node
    peer : DicomWebPeer
    """

    node: Node
    peer: DicomWebPeer

    async def find_studies(self, keys: Keys) -> list[Attributes]:
        """See base."""
        return await self._search("studies", keys, _STUDY)

    async def find_series(self, study: str, keys: Keys) -> list[Attributes]:
        """See base."""
        return await self._search(f"studies/{study}/series", keys, _SERIES)

    async def _search(self, path: str, keys: Keys, unique: int) -> list[Attributes]:
        asked = [(keyword_of(tag), values[0]) for tag, values in keys.items() if values]
        asked += [("includefield", keyword_of(tag)) for tag, values in keys.items() if not values]
        found: list[Attributes] = []
        async with (
            self._client() as client,
            closing(client.search_all(path, unique, asked)) as matches,
        ):
            async for match in matches:
                found.append({tag: tuple(match.texts(tag)) for tag in (*keys, unique)})
                if len(found) > MOST:
                    raise RetrievalError(f"more than {MOST} matches are found")
        return found

    async def fetch_study(self, uid: str, *, by_move: bool) -> None:
        """See base."""
        await self._fetch(f"studies/{uid}", uid)

    async def fetch_instance(self, instance: StoredInstance) -> None:
        """See base."""
        identity = instance.identity
        study = f"studies/{identity.study_instance_uid}"
        path = f"{study}/series/{identity.series_instance_uid}/instances"
        await self._fetch(f"{path}/{identity.sop_instance_uid}", identity.study_instance_uid)

    async def _fetch(self, path: str, study: str) -> None:
        problems: list[str] = []
        settings = self.node.settings
        host = urlsplit(self.peer.url).hostname or ""
        origin = Origin("web", called_ae_title=settings.ae_title, host=host)
        async with self._client() as client, client.retrieve(path) as parts:
            async for part in parts:
                try:
                    file = await read_file(aiter(part), study)
                    await self.node.archive.ingest(
                        file.dataset,
                        transfer_syntax_uid=file.transfer_syntax_uid,
                        sop_class_uid=file.sop_class_uid,
                        sop_instance_uid=file.sop_instance_uid,
                        origin=origin,
                    )
                except IngestError as error:
                    problems.append(str(error))
        if problems:
            raise RetrievalError(f"what {self.peer.url} sends is not taken: {problems[0]}")

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[DicomWebClient]:
        try:
            async with open_client(self.peer, self.node.tls) as client:
                yield client
        except DicomWebError as error:
            raise RetrievalError(str(error)) from error
