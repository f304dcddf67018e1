"""What is sent: the archive as it is, or as one field of a form, streamed and of known length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from pushkit import Archive

PIECE = 1 << 16  # bytes


class Body(Struct, frozen=True):
    """An archive between ``head`` and ``tail``, both empty where it travels alone."""

    archive: Archive
    type: str
    head: bytes = field(default=b"")
    tail: bytes = field(default=b"")

    @property
    def size(self) -> int:
        """All bytes."""
        return len(self.head) + self.archive.size + len(self.tail)

    def pieces(self) -> Iterator[bytes]:
        """All of it, from the beginning."""
        yield self.head
        with self.archive.path.open("rb") as file:
            while piece := file.read(PIECE):
                yield piece
        yield self.tail


def form(archive: Archive, type_: str, file_name: str, file_field: str, fields: Mapping[str, str]) -> Body:
    """A form (RFC 7578) with ``fields``, and the archive at its end. Its boundary is made from the archive's digest."""
    boundary = f"push-{archive.sha256.hex()[:40]}"
    parts = [f"--{boundary}\r\n{_disposition(name)}\r\n\r\n{value}\r\n" for name, value in fields.items()]
    about = f'{_disposition(file_field)}; filename="{_quoted(file_name)}"\r\nContent-Type: {type_}'
    head = f"{''.join(parts)}--{boundary}\r\n{about}\r\n\r\n"
    return Body(archive, f"multipart/form-data; boundary={boundary}", head.encode(), f"\r\n--{boundary}--\r\n".encode())


def _disposition(name: str) -> str:
    return f'Content-Disposition: form-data; name="{_quoted(name)}"'


def _quoted(text: str) -> str:
    """As browsers quote it (the HTML standard, "Multipart form data")."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
