"""HL7 version 2 of pacs-core: patients are what the hospital information system says.

IHE Patient Information Reconciliation (RAD TF-1 6, transaction RAD-12).
"""

from collections.abc import Callable
from functools import partial

from pacs_database.api import Database

from pacs_core.contracts import (
    CapabilityDescriptor,
    CliCommandDescriptor,
    Node,
    Service,
    ServiceDescriptor,
    Setup,
)
from pacs_core.plugins import hookimpl
from pacs_hl7.config import Hl7Config
from pacs_hl7.interface import Messages

__all__ = [
    "Hl7Config",
    "pacs_capabilities",
    "pacs_check",
    "pacs_cli_commands",
    "pacs_config",
    "pacs_services",
]


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.hl7]``."""
    return Hl7Config


@hookimpl
def pacs_check(setup: Setup) -> list[str]:
    """Return what is wrong with ``[plugin.hl7]``."""
    return [f"plugin.hl7.{problem}" for problem in setup.config(Hl7Config).problems()]


@hookimpl
def pacs_capabilities(setup: Setup) -> list[CapabilityDescriptor]:
    """Offer the messages that were kept to the other parts of this plugin."""

    def create(node: Node) -> Messages:
        from pacs_hl7.database_messages import DatabaseMessages

        return DatabaseMessages(node.find(Database))

    return [CapabilityDescriptor("hl7-messages", Messages, create, requires=(Database,))]


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
