"""Metadata, single frames and searches for whoever sends a line of JSON."""

from pacs_core.contracts import ServiceDescriptor, Setup
from pacs_core.plugins import hookimpl
from pacs_frame_server.server import FrameServer


@hookimpl
def pacs_services(setup: Setup) -> list[ServiceDescriptor]:
    """Return the server."""
    return [
        ServiceDescriptor(
            "frames",
            FrameServer,
            bind=("127.0.0.1", 0),
            describe_address=lambda host, port: f"frames: {host}:{port}",
        )
    ]
