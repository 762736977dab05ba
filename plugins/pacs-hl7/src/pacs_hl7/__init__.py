"""HL7 version 2 of pacs-core: patients are what the hospital information system says.

IHE Patient Information Reconciliation (RAD TF-1 6, transaction RAD-12).
"""

from collections.abc import Callable
from functools import partial

from pacs_database.api import Database
from pacs_jobs.api import JobHandler, JobKind, JobQueue

from pacs_core.contracts import (
    CapabilityDescriptor,
    ChangeConsumer,
    ChangeConsumerDescriptor,
    ChangeKind,
    CliCommandDescriptor,
    Hooks,
    Node,
    SecurityFinding,
    Service,
    ServiceDescriptor,
    Setup,
)
from pacs_core.plugins import hookimpl
from pacs_hl7.config import Hl7Config
from pacs_hl7.interface import SEND, Messages, Outgoing

__all__ = [
    "Hl7Config",
    "pacs_capabilities",
    "pacs_change_consumers",
    "pacs_check",
    "pacs_cli_commands",
    "pacs_config",
    "pacs_job_kinds",
    "pacs_security_findings",
    "pacs_services",
]


_ATTEMPTS = 3000
"""Of sending: with pauses of up to five minutes, about ten days."""


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.hl7]``."""
    return Hl7Config


@hookimpl
def pacs_check(setup: Setup) -> list[str]:
    """Return what is wrong with ``[plugin.hl7]``."""
    return [f"plugin.hl7.{problem}" for problem in setup.config(Hl7Config).problems()]


@hookimpl
def pacs_security_findings(setup: Setup, hooks: Hooks) -> list[SecurityFinding]:
    """Return what is weak in the table."""
    from pacs_hl7.weaknesses import find_weaknesses

    return list(find_weaknesses(setup.config(Hl7Config)))


@hookimpl
def pacs_capabilities(setup: Setup) -> list[CapabilityDescriptor]:
    """Offer the messages that were kept to the other parts of this plugin."""

    def create(node: Node) -> Messages:
        from pacs_hl7.database_messages import DatabaseMessages

        return DatabaseMessages(node.find(Database))

    def create_outgoing(node: Node) -> Outgoing:
        from pacs_hl7.database_outgoing import DatabaseOutgoing

        return DatabaseOutgoing(node.find(Database), node.find(JobQueue))

    return [
        CapabilityDescriptor("hl7-messages", Messages, create, requires=(Database,)),
        CapabilityDescriptor(
            "hl7-outgoing",
            Outgoing,
            create_outgoing,
            requires=(Database, JobQueue),
            # Each worker sends, also those in which the consumer does not run.
            always=bool(setup.config(Hl7Config).peers),
        ),
    ]


@hookimpl
def pacs_change_consumers(setup: Setup) -> list[ChangeConsumerDescriptor]:
    """Return what tells systems of complete studies, if there are some to be told."""
    config = setup.config(Hl7Config)
    if not any(peer.studies for peer in config.peers.values()):
        return []

    def create(node: Node) -> ChangeConsumer:
        from pacs_hl7.delivery import TellOfStudies

        return TellOfStudies(node, config)

    kinds = frozenset({ChangeKind.STUDY_COMPLETE})
    return [ChangeConsumerDescriptor("hl7", create, kinds=kinds, requires=(Outgoing,))]


@hookimpl(optionalhook=True)
def pacs_job_kinds(setup: Setup) -> list[JobKind]:
    """Return the job that sends messages, and the one that forgets those that were sent."""
    config = setup.config(Hl7Config)
    if not config.peers:
        return []

    def create(node: Node) -> JobHandler:
        from pacs_hl7.delivery import SendOutgoing

        return SendOutgoing(node, config)

    def create_expiry(node: Node) -> JobHandler:
        from pacs_hl7.delivery import ForgetSent

        return ForgetSent(node, config)

    kind = partial(JobKind, requires=(Outgoing,))
    return [
        kind(
            SEND,
            create,
            "sends HL7 messages",
            # Each system has a key of its own: there are never more jobs than systems.
            concurrency=64,
            attempts=_ATTEMPTS,
            first_pause=2.0,
            longest_pause=300.0,
        ),
        kind("hl7.expire", create_expiry, "forgets HL7 messages", schedule="47 3 * * *"),
    ]


@hookimpl
def pacs_services(setup: Setup) -> list[ServiceDescriptor]:
    """Return the listener, if it has a port."""
    config = setup.config(Hl7Config)
    if config.port is None:
        return []

    def create(node: Node) -> Service:
        from pacs_hl7.listener import Listener

        return Listener(node, config)

    return [
        ServiceDescriptor(
            "hl7",
            create,
            scope="node",
            bind=(config.host, config.port),
            describe_address=lambda host, port: f"hl7: mllp://{host}:{port}",
            requires=(Messages,),
        )
    ]


@hookimpl
def pacs_cli_commands() -> list[CliCommandDescriptor]:
    """Return ``pacs hl7``."""
    summaries = {
        "list": "List HL7 messages that were received.",
        "show": "Show an HL7 message, and how it was answered.",
        "conflicts": "List HL7 messages that contradict what was known.",
        "outgoing": "List HL7 messages that are sent, or wait.",
        "resend": "Send an HL7 message once more.",
        "undo": "Take back what an HL7 message has done.",
        "replay": "Do once more what an HL7 message asks for.",
        "send": "Send HL7 messages by MLLP.",
    }

    def load(verb: str) -> Callable[..., int | None]:
        from pacs_hl7 import commands

        return commands.BY_VERB[verb]

    return [
        CliCommandDescriptor(f"hl7 {verb}", summary, partial(load, verb))
        for verb, summary in summaries.items()
    ]
