"""Deletion of studies, series and instances: an extension, off unless it is configured."""

from starlette.requests import Request
from starlette.responses import Response

from pacs_dicomweb.instances import query_of, require_match
from pacs_dicomweb.service import DicomWeb, resource_of


class EntityDeletion:
    """Answers DELETE. The archive records each study of which something goes (PS3.15 A.5.3.8).

    Parameters
    ----------
    service : DicomWeb
    """

    def __init__(self, service: DicomWeb) -> None:
        self._service = service

    async def delete(self, request: Request) -> Response:
        """Delete the instances of a resource: 204, or 404 where there are none."""
        require_match(request)
        archive, resource = self._service.archive(request), resource_of(request)
        origin = self._service.context.origin_of(request)
        report = await archive.delete_all(query_of(resource), origin)
        report.raise_unless_deleted(str(resource))
        return Response(status_code=204)
