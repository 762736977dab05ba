"""Distinguished Encoding Rules (ITU-T X.690), as far as values of them have to be mended."""

from collections.abc import Iterator

from attrs import frozen


@frozen
class Node:
    """A tag with its length and value: where it begins, where its value does, and where it ends."""

    start: int
    value: int
    end: int


def iterate_nodes(data: bytes, start: int, end: int) -> Iterator[Node]:
    """Iterate over the values one behind the other; ValueError where they are not whole."""
    while start < end:
        if end - start < 2:
            raise ValueError("it ends in the middle of a value")
        length, value = data[start + 1], start + 2
        if length & 0x80:
            value += length & 0x7F
            length = int.from_bytes(data[start + 2 : value], "big")
        if value + length > end:
            raise ValueError("it ends in the middle of a value")
        yield Node(start, value, value + length)
        start = value + length


def der_value(data: bytes) -> bytes:
    """Return a value without what pads it to an even length (PS3.5 §6.2); as it is if not whole."""
    try:
        node = next(iterate_nodes(data, 0, len(data)), None)
    except ValueError:
        return data
    return data[: node.end] if node else data


def sort_certificates(response: bytes) -> bytes:
    """Return a timestamp response whose certificates are in the order that DER has for a set.

    Authorities that follow BER, which CMS allows (RFC 5652 §5.1), leave them in that of the chain.
    The set is not signed, so that its order may change. ValueError if it is no such response.
    """
    (whole,) = iterate_nodes(response, 0, len(response))
    _, token = _inside(response, whole, 2)
    _, content = _inside(response, token, 2)
    (signed_data,) = iterate_nodes(response, content.value, content.end)
    for part in iterate_nodes(response, signed_data.value, signed_data.end):
        if response[part.start] == _CERTIFICATES:
            nodes = iterate_nodes(response, part.value, part.end)
            ordered = sorted(response[each.start : each.end] for each in nodes)
            return response[: part.value] + b"".join(ordered) + response[part.end :]
    return response


_CERTIFICATES = 0xA0


def _inside(data: bytes, node: Node, number: int) -> list[Node]:
    nodes = list(iterate_nodes(data, node.value, node.end))
    if len(nodes) != number:
        raise ValueError(f"it has {len(nodes)} values where {number} were due")
    return nodes
