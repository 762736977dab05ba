"""Multipart bodies of DICOM files (RFC 2387): small ones, held whole."""

from collections.abc import Iterator, Sequence
from email.parser import BytesParser
from email.policy import HTTP
from secrets import token_hex


def read_parts(content_type: str, body: bytes) -> Iterator[bytes]:
    """Iterate over the contents of the parts of a body; a single file is one."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    for part in message.iter_parts() if message.is_multipart() else [message]:
        content = part.get_payload(decode=True)
        if isinstance(content, bytes):
            yield content


def write_parts(files: Sequence[bytes]) -> tuple[str, bytes]:
    """Return the media type and the body of some files."""
    boundary = token_hex(16)
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    body = b"".join(head + each + b"\r\n" for each in files) + f"--{boundary}--\r\n".encode()
    return f'multipart/related; type="application/dicom"; boundary={boundary}', body
