"""The codecs, by the last part of their transfer syntax UIDs."""

from collections.abc import Callable

import pytest
from pacs_codec_imagecodecs import pacs_codecs

from pacs_core.contracts import Codec, CodecDescriptor, NodeSettings, Setup

ROOT = "1.2.840.10008.1.2.4."


@pytest.fixture(scope="session")
def descriptor_of() -> Callable[[str], CodecDescriptor]:
    descriptors = pacs_codecs(Setup(NodeSettings()))
    by_syntax = {uid: each for each in descriptors for uid in each.decodes}
    return lambda suffix: by_syntax[ROOT + suffix]


@pytest.fixture(scope="session")
def codec_of(descriptor_of: Callable[[str], CodecDescriptor]) -> Callable[[str], Codec]:
    return lambda suffix: descriptor_of(suffix).create()
