"""One decoder and one encoder for each transfer syntax."""

import pytest
from attrs import evolve

from pacs_core.contracts import CodecDescriptor
from pacs_core.transcoding import CodecChoiceError, codec_table

RLE, JLS = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80"
FIRST = CodecDescriptor("first", frozenset({RLE}), frozenset(), object)
SECOND = CodecDescriptor("second", frozenset({RLE, JLS}), frozenset({RLE, JLS}), object)


def test_the_first_that_can_is_taken():
    table = codec_table([FIRST, SECOND])
    assert table.decoder(RLE) is FIRST
    assert table.encoder(RLE) is SECOND
    assert table.decoder(JLS) is SECOND
    assert table.decoder("1.2.3") is table.encoder("1.2.3") is None


def test_the_configuration_chooses():
    table = codec_table([FIRST, SECOND], {RLE: "second"})
    assert table.decoder(RLE) is table.encoder(RLE) is SECOND


def test_a_chosen_codec_need_not_do_both():
    table = codec_table([SECOND, FIRST], {RLE: "first"})
    assert (table.decoder(RLE), table.encoder(RLE)) == (FIRST, SECOND)


def test_recompressors_are_found_by_both_transfer_syntaxes():
    third = CodecDescriptor(
        "third", frozenset(), frozenset(), object, recompresses=frozenset({(RLE, JLS)})
    )
    fourth = evolve(third, name="fourth")
    table = codec_table([FIRST, SECOND, third, fourth])
    assert table.recompressor(RLE, JLS) is third
    assert table.recompressor(JLS, RLE) is None
    assert (table.recompression_targets(RLE), table.recompression_targets(JLS)) == ((JLS,), ())
    assert (table.recompression_sources(RLE), table.recompression_sources(JLS)) == ((), (RLE,))
    assert third.transfer_syntaxes == {JLS}
    chosen = codec_table([FIRST, SECOND, third, fourth], {JLS: "fourth"})
    assert chosen.recompressor(RLE, JLS) is fourth
    assert chosen.decoder(JLS) is chosen.encoder(JLS) is SECOND


def test_every_wrong_choice_is_reported_with_those_that_are_possible():
    with pytest.raises(CodecChoiceError) as caught:
        codec_table([FIRST, SECOND], {RLE: "third", JLS: "first"})
    assert caught.value.problems == (
        "codecs: 'third' for RLE Lossless: no installed codec has this name; installed ones that "
        "can: first, second",
        "codecs: 'first' for JPEG-LS Lossless: it cannot do that; installed ones that can: second",
    )
