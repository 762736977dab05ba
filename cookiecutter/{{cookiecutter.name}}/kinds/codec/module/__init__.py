"""A codec of pacs-core: Deflated Image Frame Compression."""

from functools import partial

from pacs_core.contracts import CodecDescriptor, Setup
from pacs_core.plugins import hookimpl

from {{ cookiecutter.__package }}.codec import DEFLATED_FRAMES, DeflateCodec
from {{ cookiecutter.__package }}.config import Config

__all__ = ["DEFLATED_FRAMES", "Config", "DeflateCodec", "pacs_codecs", "pacs_config"]

PACS_API_VERSION = (1, 0)
"""The plugin API that this was written for: a node that offers less does not load it."""


@hookimpl
def pacs_config() -> type:
    """Return the class of the plugin's table."""
    return Config


@hookimpl
def pacs_codecs(setup: Setup) -> list[CodecDescriptor]:
    """Return the codec; a worker process makes one of its own."""
    syntaxes = frozenset({DEFLATED_FRAMES})
    create = partial(DeflateCodec, setup.config(Config).level)
    return [
        CodecDescriptor(
            "{{ cookiecutter.name }}",
            decodes=syntaxes,
            encodes=syntaxes,
            create=create,
            library="zlib",
            licence="Zlib",
        )
    ]
