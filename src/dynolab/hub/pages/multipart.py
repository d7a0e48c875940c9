"""Forms in multipart/form-data, part by part: a file passes on to where it is kept, and nothing is put aside first."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from dynolab.errors import MediaTypeInvalid, SpecInvalid

TEXT_MOST_BYTES = 64 << 10
"""Of one field; options are the longest."""


@dataclass(frozen=True, slots=True)
class Part:
    """A field of a form; ``file_name`` is None for a text, and empty where no file was chosen."""

    name: str
    file_name: str | None
    chunks: AsyncIterator[bytes]
    """To be read before the next part is asked for; what is left is passed over."""

    async def text(self) -> str:
        """What was typed, with the line ends of this system. Raises :class:`SpecInvalid`."""
        content = bytearray()
        async for chunk in self.chunks:
            content += chunk
            if len(content) > TEXT_MOST_BYTES:
                raise SpecInvalid(f"the field {self.name!r} holds more than {TEXT_MOST_BYTES} bytes")
        if b"\x00" in content:
            raise SpecInvalid(f"the field {self.name!r} holds a NUL character")
        return content.decode("utf-8", "replace").replace("\r\n", "\n").strip()


async def read_parts(content_type: str, chunks: AsyncIterable[bytes]) -> AsyncIterator[Part]:
    """The parts of multipart/form-data, in the page's order.

    Raises :class:`MediaTypeInvalid` for what is no form, and :class:`SpecInvalid` for one that breaks off.
    """
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise MediaTypeInvalid(f"the form comes as {content_type[:100]!r}", hint="send it as multipart/form-data")
    reader = _Reader(options[b"boundary"], chunks)
    while (event := await reader.next()) is not None:
        if isinstance(event, _Head):
            yield Part(event.name, event.file_name, reader.data())


@dataclass(frozen=True, slots=True)
class _Head:
    name: str
    file_name: str | None


class _PartEnd:
    pass


class _Reader:
    """Turns what the parser tells into events: a head, bytes, the end of the part; None after the last."""

    def __init__(self, boundary: bytes, chunks: AsyncIterable[bytes]) -> None:
        self._chunks, self._ended = aiter(chunks), False
        self._events: deque[_Head | bytes | _PartEnd] = deque()
        self._name, self._value, self._disposition = bytearray(), bytearray(), b""
        self._parser = MultipartParser(
            boundary,
            {
                "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._header,
                "on_headers_finished": self._head,
                "on_part_data": lambda data, start, end: self._events.append(data[start:end]),
                "on_part_end": lambda: self._events.append(_PartEnd()),
                "on_end": self._end,
            },
        )

    async def next(self) -> _Head | bytes | _PartEnd | None:
        while not self._events:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                if not self._ended:
                    raise SpecInvalid("the form breaks off", hint="send it again")
                return None
            try:
                self._parser.write(chunk)
            except FormParserError as error:
                raise SpecInvalid(f"the form cannot be read: {error}") from error
        return self._events.popleft()

    async def data(self) -> AsyncIterator[bytes]:
        while isinstance(event := await self.next(), bytes):
            yield event

    def _header(self) -> None:
        if bytes(self._name).lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def _head(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._disposition = b""
        name, file_name = options.get(b"name", b""), options.get(b"filename")
        told = None if file_name is None else file_name.decode("utf-8", "replace")
        self._events.append(_Head(name.decode("utf-8", "replace"), told))

    def _end(self) -> None:
        self._ended = True
