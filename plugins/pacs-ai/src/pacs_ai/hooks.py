"""The hook that this plugin publishes."""

from collections.abc import Sequence

from pacs_ai.interface import InferenceAdapterDescriptor
from pacs_core.contracts import Setup
from pacs_core.plugins import hookspec


@hookspec
def pacs_inference_adapters(setup: Setup) -> Sequence[InferenceAdapterDescriptor]:
    """Return ways of asking services, which `adapter` of ``[plugin.ai.services.NAME]`` names.

    Called when the node begins to serve, in each worker. An adapter whose name another plugin has
    quarantines its plugin.

    Example
    -------
    ::

        class Acme(InferenceAdapter):
            def __init__(self, node: Node, name: str, service: ServiceConfig) -> None:
                self.service = service

            async def ask(
                self, request: InferenceRequest, inputs: Inputs, results: ResultTaker
            ) -> Answer:
                async with inputs.open() as contents:
                    async for file in acme.segment(contents, timeout=self.service.timeout):
                        await results.take(file)
                return Answer.COMPLETE


        @hookimpl(optionalhook=True)
        def pacs_inference_adapters(setup: Setup) -> list[InferenceAdapterDescriptor]:
            return [InferenceAdapterDescriptor("acme", Acme)]
    """
    raise NotImplementedError
