"""``dicomweb-pull``: a service is told of a study, reads it, and stores results, by DICOMweb.

The request is a POST of a JSON object: ``request``, ``version``, ``dicomweb``, ``token``,
``expires``, ``study``, ``series``. The token is good for these series, and for results, until it
expires; whoever has it sees nothing else. The answer is 202 if results are to come, or 200 or 204
once they have.
"""

import time

from pacs_ai.adapters.http import open_service, send
from pacs_ai.description import moment
from pacs_ai.desk import AiDesk
from pacs_ai.interface import Answer, InferenceAdapter, Inputs, ResultTaker
from pacs_ai.models import InferenceRequest
from pacs_ai.tokens import make_token


class DicomWebPull(InferenceAdapter):
    """Tells a service what to read."""

    has_other_doors = True

    async def ask(self, request: InferenceRequest, inputs: Inputs, results: ResultTaker) -> Answer:
        """See base."""
        desk = self.node.find(AiDesk)
        told = {
            "request": request.number,
            "version": request.version,
            "dicomweb": desk.config.dicomweb_url,
            "token": await make_token(desk, request),
            "expires": moment(time.time() + self.service.answer_within),
            "study": request.study_uid,
            "series": sorted({each.series_uid for each in request.inputs}),
        }
        async with open_service(self.node, self.service) as client:
            asked = client.build_request("POST", self.service.url, json=told)
            async with send(client, asked) as response:
                return Answer.LATER if response.status_code == 202 else Answer.COMPLETE
