"""The adapter: a service gets one instance in each request, and answers with one, or with none."""

from contextlib import aclosing

import httpx
from pacs_ai.api import (
    Answer,
    InferenceAdapter,
    InferenceRequest,
    Inputs,
    ResultTaker,
    ServiceAwayError,
    ServiceConfig,
    ServiceError,
    ServiceRefusedError,
)
from pacs_core.contracts import Node

from {{ cookiecutter.__package }}.config import Config


class OneByOne(InferenceAdapter):
    """Sends instances one by one.

    Parameters
    ----------
    node : Node
    name : str
        Of the service.
    service : ServiceConfig
        Its table, with `url` and `timeout`.
    config : Config
    """

    def __init__(self, node: Node, name: str, service: ServiceConfig, config: Config) -> None:
        super().__init__(node, name, service)
        self._config = config

    async def ask(self, request: InferenceRequest, inputs: Inputs, results: ResultTaker) -> Answer:
        """See base."""
        timeout = self.service.timeout
        async with (
            inputs.open() as contents,
            httpx.AsyncClient(timeout=timeout, trust_env=False) as client,
        ):
            for content in contents:
                headers = {
                    "Content-Type": self._config.media_type,
                    "Content-Length": str(content.size),
                    "Request-Number": str(request.number),
                }
                asked = client.build_request(
                    "POST", self.service.url, headers=headers, content=content.pieces()
                )
                try:
                    response = await client.send(asked, stream=True)
                    async with aclosing(response):
                        await self._take(response, results)
                except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                    raise ServiceAwayError(f"{self.service.url}: {error}") from error
                except httpx.HTTPError as error:
                    raise ServiceError(f"{self.service.url}: {error}") from error
        return Answer.COMPLETE

    async def _take(self, response: httpx.Response, results: ResultTaker) -> None:
        """Hand on a result while it comes, or say what the answer means."""
        status = response.status_code
        said = f"{self.service.url} answered {status} {response.reason_phrase}"
        if status in {429, 502, 503, 504}:  # it says nothing of the request: ask again
            raise ServiceAwayError(said)
        if 400 <= status < 500:
            raise ServiceRefusedError(said)
        if not response.is_success:
            raise ServiceError(said)
        if status != 204:
            await results.take(response.aiter_bytes())
