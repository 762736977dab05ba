"""Services that infer from images: asked by rules, their results checked before they are archived.

What other plugins import is :mod:`pacs_ai.api`.
"""

from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec

from pacs_database.api import Database
from pacs_jobs.api import JobHandler, JobKind, JobQueue
from pacs_web.api import WebAuthenticator, WebAuthenticatorDescriptor, WebRoutesDescriptor

from pacs_ai import hooks
from pacs_ai.config import AiConfig, RuleConfig, ServiceConfig
from pacs_ai.desk import AiDesk
from pacs_ai.interface import InferenceAdapter, InferenceAdapterDescriptor, Inferences
from pacs_core.contracts import (
    AccessDescriptor,
    Authorizer,
    CapabilityDescriptor,
    ChangeConsumer,
    ChangeConsumerDescriptor,
    ChangeKind,
    CliCommandDescriptor,
    IngestFilter,
    IngestFilterDescriptor,
    Node,
    Service,
    ServiceDescriptor,
    Setup,
)
from pacs_core.plugins import hookimpl

__all__ = ["AiConfig"]

_ALWAYS = 1_000_000_000
"""Attempts of the job of a request: the request is given up, not the job."""
_DAY = 24 * 3600.0
_PASSIVE = frozenset({"dimse", "dicomweb-pull", "ups"})
"""Adapters whose results come through the doors of the archive."""


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.ai]``."""
    return AiConfig


@hookimpl
def pacs_hookspecs() -> object:
    """Publish the hook by which plugins add ways of asking services."""
    return hooks


@hookimpl
def pacs_check(setup: Setup) -> list[str]:
    """Return all that is wrong with services and rules, and what they need and is not installed."""
    return list(_problems(setup))


def _problems(setup: Setup) -> Iterator[str]:
    from pacs_core.api.conditions import read_test

    config = setup.config(AiConfig)
    for name, service in config.services.items():
        for key, text in _lacks(service, config, setup):
            yield f"services.{name}.{key}: {text}"
    for number, rule in enumerate(config.rules):
        if rule.service not in config.services:
            known = ", ".join(sorted(config.services)) or "none"
            text = f"there is no service {rule.service!r}; there are {known}"
            yield f"rules[{number}].service: {text}"
        if rule.on == "ups":
            for key, text in _lacks_of_step(rule, config):
                yield f"rules[{number}].{key}: {text}"
        for table in ("where", "unless", "step"):
            for key, value in getattr(rule, table).items():
                try:
                    read_test(key, value)
                except ValueError as error:
                    yield f"rules[{number}].{table}.{key}: {error}"


def _lacks_of_step(rule: RuleConfig, config: AiConfig) -> Iterator[tuple[str, str]]:
    service = config.services.get(rule.service)
    if not rule.step:
        yield "step", "a rule about work items needs conditions on them"
    if service is not None and service.adapter == "ups":
        yield "service", f"{rule.service} claims work items itself"
    if not find_spec("pacs_sop_ups"):
        yield "on", "pip install 'pacs-ai[ups]'"


def _lacks(service: ServiceConfig, config: AiConfig, setup: Setup) -> Iterator[tuple[str, str]]:
    adapter = service.adapter
    if adapter in {"rest-push", "dicomweb-pull"} and not service.url:
        yield "url", f"{adapter} needs one"
    if adapter == "dicomweb-pull" and not config.dicomweb_url:
        yield "adapter", "dicomweb-pull needs dicomweb_url of [plugin.ai]"
    if adapter == "dimse" and service.peer not in setup.settings.peers:
        known = ", ".join(sorted(setup.settings.peers)) or "none"
        yield "peer", f"there is no peer {service.peer!r}; there are {known}"
    if adapter == "ups" and not service.code:
        yield "code", "ups needs the code of its work items"
    if adapter == "ups" and not find_spec("pacs_sop_ups"):
        yield "adapter", "pip install 'pacs-ai[ups]'"
    if service.deidentify and adapter in {"dicomweb-pull", "ups"}:
        yield "deidentify", f"with {adapter} a service reads what is in the archive, as it is"
    if service.send == "frames" and (adapter != "rest-push" or service.deidentify):
        yield "send", "frames go with rest-push only, and as they are in the archive"
    if service.deidentify and not find_spec("pacs_deidentify"):
        yield "deidentify", "pip install 'pacs-ai[deidentify]'"


@hookimpl
def pacs_capabilities(setup: Setup) -> list[CapabilityDescriptor]:
    """Offer requests and results to commands, to the web and to other plugins."""

    def create_desk(node: Node) -> AiDesk:
        return AiDesk(node, setup)

    def create(node: Node) -> Inferences:
        from pacs_ai.inferences import DeskInferences

        return DeskInferences(node)

    needed = (Database, JobQueue)
    return [
        CapabilityDescriptor("ai-desk", AiDesk, create_desk, needed, always=True),
        CapabilityDescriptor("ai", Inferences, create, (AiDesk, Database, JobQueue), always=True),
    ]


@hookimpl
def pacs_ingest_filters(setup: Setup) -> list[IngestFilterDescriptor]:
    """Return what holds back results that services send; without such a service there is none."""
    config = setup.config(AiConfig)

    def create(node: Node) -> IngestFilter:
        from pacs_ai.filter import ResultFilter

        return ResultFilter(node, config)

    is_needed = config.dicomweb_url or any(
        service.adapter in _PASSIVE or service.results_from for service in config.services.values()
    )
    return [IngestFilterDescriptor("ai", create)] if is_needed else []


@hookimpl
def pacs_change_consumers(setup: Setup) -> list[ChangeConsumerDescriptor]:
    """Return what hears of complete studies."""

    def create(node: Node) -> ChangeConsumer:
        from pacs_ai.consumer import AiConsumer

        return AiConsumer(node)

    if not any(rule.on == "study" for rule in setup.config(AiConfig).rules):
        return []  # so that the index need not write changes for it
    kinds = frozenset({ChangeKind.STUDY_COMPLETE})
    return [ChangeConsumerDescriptor("ai", create, kinds, requires=(Inferences,))]


@hookimpl
def pacs_services(setup: Setup) -> list[ServiceDescriptor]:
    """Return what counts, and what performs work items, if there is a rule about them."""
    config = setup.config(AiConfig)
    if not config.services:
        return []

    def create_meter(node: Node) -> Service:
        from pacs_ai.metering import MeterInferences

        return MeterInferences(node)

    meter = ServiceDescriptor("ai-meter", create_meter, scope="node", requires=(Inferences,))
    if not any(rule.on == "ups" for rule in config.rules):
        return [meter]
    from pacs_sop_ups.api import UnifiedProcedureSteps

    def create(node: Node) -> Service:
        from pacs_ai.performing import StepPerformer

        return StepPerformer(node)

    needed = (Inferences, UnifiedProcedureSteps)
    return [meter, ServiceDescriptor("ai-steps", create, scope="node", requires=needed)]


@hookimpl(optionalhook=True)
def pacs_job_kinds(setup: Setup) -> list[JobKind]:
    """Return what asks services, and what looks after requests."""
    config = setup.config(AiConfig)

    def load(module: str, name: str) -> Callable[[Node], JobHandler]:
        def create(node: Node) -> JobHandler:
            from importlib import import_module

            handler: JobHandler = getattr(import_module(f"pacs_ai.{module}"), name)(node)
            return handler

        return create

    if not config.services:
        return []
    first, longest = config.first_pause, config.longest_pause
    return [
        JobKind(
            "ai.ask",
            load("asking", "AskHandler"),
            "Asks a service about instances.",
            # Keys bound how many a service has at once.
            concurrency=1000,
            attempts=_ALWAYS,
            timeout=_DAY,
            requires=(Inferences,),
            first_pause=first,
            longest_pause=longest,
        ),
        JobKind(
            "ai.cancel",
            load("upkeep", "CancelHandler"),
            "Tells a service that a request is not wanted any more.",
            attempts=5,
            requires=(Inferences,),
            first_pause=first,
            longest_pause=longest,
        ),
        JobKind(
            "ai.upkeep",
            load("upkeep", "UpkeepHandler"),
            "Looks after requests whose results come later, and tidies up.",
            schedule="* * * * *",
            requires=(Inferences,),
        ),
    ]


@hookimpl(optionalhook=True)
def pacs_inference_adapters(setup: Setup) -> list[InferenceAdapterDescriptor]:
    """Return the ways of asking services that come with the plugin."""

    def load(module: str, name: str) -> Callable[[Node, str, ServiceConfig], InferenceAdapter]:
        def create(node: Node, service: str, config: ServiceConfig) -> InferenceAdapter:
            from importlib import import_module

            kind = getattr(import_module(f"pacs_ai.adapters.{module}"), name)
            adapter: InferenceAdapter = kind(node, service, config)
            return adapter

        return create

    return [
        InferenceAdapterDescriptor("rest-push", load("rest_push", "RestPush")),
        InferenceAdapterDescriptor("dimse", load("dimse", "Dimse")),
        InferenceAdapterDescriptor("dicomweb-pull", load("dicomweb_pull", "DicomWebPull")),
        InferenceAdapterDescriptor("ups", load("ups", "ProcedureSteps")),
    ]


@hookimpl
def pacs_access(setup: Setup) -> list[AccessDescriptor]:
    """Return who says what services see, who assesses, and who sees what nobody has assessed."""
    config = setup.config(AiConfig)

    def create(node: Node) -> Authorizer:
        from pacs_ai.access import AiAuthorizer

        return AiAuthorizer(node, config)

    hides = any(service.unassessed == "hide" for service in config.services.values())
    is_needed = config.dicomweb_url or config.assessors or hides
    return [AccessDescriptor("ai", authorizer=create)] if is_needed else []


@hookimpl(optionalhook=True)
def pacs_web_authenticators(setup: Setup) -> list[WebAuthenticatorDescriptor]:
    """Return who knows tokens of requests."""
    config = setup.config(AiConfig)

    def create(node: Node) -> WebAuthenticator:
        from pacs_ai.doors import TokenAuthenticator

        return TokenAuthenticator(node, config)

    return [WebAuthenticatorDescriptor("ai", create)] if config.dicomweb_url else []


@hookimpl(optionalhook=True)
def pacs_web_routes(setup: Setup) -> list[WebRoutesDescriptor]:
    """Return the API; without pacs-web nobody asks for it."""
    from pacs_ai.web import web_routes

    return web_routes()


@hookimpl
def pacs_cli_commands() -> list[CliCommandDescriptor]:
    """Return ``pacs ai``."""
    summaries = {
        "list": "List requests to services, or their results.",
        "show": "Show where a result came from, and what became of a request.",
        "ask": "Have a service asked about a study.",
        "assess": "Accept, modify or reject a result.",
        "release": "Archive a result that is in quarantine.",
        "discard": "Delete a result that is in quarantine.",
        "cancel": "Cancel a request.",
    }

    def load(verb: str) -> Callable[..., int | None]:
        from pacs_ai import commands

        return commands.BY_VERB[verb]

    return [
        CliCommandDescriptor(f"ai {verb}", summary, partial(load, verb))
        for verb, summary in summaries.items()
    ]
