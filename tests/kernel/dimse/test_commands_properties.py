"""Properties of the command set codec over all kinds of commands and over any bytes."""

import pytest
from hypothesis import example, given, strategies as st

from pacs_core.dimse import (
    LAYOUTS,
    Command,
    CommandField,
    DatasetRule,
    InvalidArgument,
    MalformedCommand,
    decode_command,
    encode_command,
)

printable = st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="\\")
uids = st.lists(st.integers(0, 10**9).map(str), min_size=1, max_size=6).map(".".join)
VALUES = {
    "UI": uids,
    "US": st.integers(0, 0xFFFF),
    "AE": st.text(printable, min_size=1, max_size=16).map(str.strip).filter(bool),
    "LO": st.text(printable, min_size=1, max_size=64).map(str.strip).filter(bool),
    "AT": st.lists(st.integers(0, 0xFFFFFFFF), min_size=1, max_size=9).map(tuple),
}


@st.composite
def commands(draw: st.DrawFn) -> Command:
    field = draw(st.sampled_from(CommandField))
    layout = LAYOUTS[field]
    present = [e for e in layout.permitted if e in layout.mandatory or draw(st.booleans())]
    has_dataset = {
        DatasetRule.REQUIRED: st.just(True),
        DatasetRule.FORBIDDEN: st.just(False),
        DatasetRule.OPTIONAL: st.booleans(),
    }[layout.dataset]
    values = {e.attribute: draw(VALUES[e.vr]) for e in present}
    return Command(field=field, has_dataset=draw(has_dataset), **values)


@given(commands())
def test_what_is_encoded_decodes_to_the_same(command):
    encoded = encode_command(command)
    assert decode_command(encoded) == command
    assert len(encoded) % 2 == 0
    assert int.from_bytes(encoded[8:12], "little") == len(encoded) - 12


def decoded_or_error(data: bytes) -> Command | InvalidArgument | MalformedCommand:
    try:
        return decode_command(data)
    except (InvalidArgument, MalformedCommand) as error:
        return error


@given(st.binary(max_size=300))
@example(b"\0" * 8)
def test_any_bytes_are_a_command_or_a_known_error(data):
    assert decoded_or_error(data) is not None


@given(commands(), st.data())
def test_a_damaged_command_is_a_command_or_a_known_error(command, data):
    damaged = bytearray(encode_command(command))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    outcome = decoded_or_error(bytes(damaged))
    if isinstance(outcome, InvalidArgument):
        assert outcome.command.is_request
        assert outcome.command.message_id is not None
        assert outcome.offending_element
    elif isinstance(outcome, Command):
        assert decode_command(encode_command(outcome)) == outcome
    else:
        assert outcome.detail


@given(commands(), st.data())
def test_a_truncated_command_is_malformed(command, data):
    encoded = encode_command(command)
    size = data.draw(st.integers(0, len(encoded) - 13))
    with pytest.raises(MalformedCommand):
        decode_command(encoded[:size])
