"""Ports that services want, examined without a node: who else has them."""

import socket
from collections.abc import Iterator

from pacs_core.app.assembly import Assembly
from pacs_core.contracts import ServiceDescriptor
from pacs_core.plugins import PluginRecord


def taken_ports(assembly: Assembly, record: PluginRecord) -> Iterator[str]:
    """Iterate over what keeps services of a plugin from listening, in words.

    Where the DICOM port is taken as well, the node itself is running, and has them.
    """
    node = assembly.config.node
    for owner, descriptor in assembly.registry.entries(ServiceDescriptor):
        if owner is not record or not isinstance(descriptor, ServiceDescriptor):
            continue
        if descriptor.bind is None or descriptor.bind[1] == 0 or _reason(node.host, node.port):
            continue
        host, port = descriptor.bind
        if reason := _reason(host, port):
            yield f"service {descriptor.name} cannot listen on {host}:{port}: {reason}"


def _reason(host: str, port: int) -> str:
    """Return why nobody can listen on a port; empty if one can, or if that is not known."""
    if port == 0:
        return ""
    try:
        for family, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
    except OSError as error:
        return error.strerror or str(error)
    return ""
