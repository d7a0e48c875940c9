"""A file out of multipart/form-data as it comes: nothing of it is put aside first."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from dynolab.errors import MediaTypeInvalid, SpecInvalid


async def file_of(content_type: str, chunks: AsyncIterable[bytes], field: str) -> AsyncIterator[bytes]:
    """The bytes of the file in a form's field; other fields are passed over.

    Raises :class:`MediaTypeInvalid` for what is no form, and :class:`SpecInvalid` for one that breaks off or has no such
    file, or two.
    """
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise MediaTypeInvalid(
            f"the file comes as {content_type[:100]!r}",
            hint="send it as multipart/form-data, in the field " + repr(field),
        )
    try:
        form = _Form(options[b"boundary"], field.encode())
        async for chunk in chunks:
            form.parser.write(chunk)
            for piece in form.taken():
                yield piece
    except FormParserError as error:
        raise SpecInvalid(f"the form cannot be read: {error}") from error
    if not form.ended:
        raise SpecInvalid("the form breaks off", hint="send it again")
    if form.files != 1:
        raise SpecInvalid(f"the form has {form.files or 'no'} files in the field {field!r}", hint="send one")


class _Form:
    """What the parser tells of a form."""

    def __init__(self, boundary: bytes, field: bytes) -> None:
        self.files, self.ended = 0, False
        self._field, self._inside = field, False
        self._name, self._value = bytearray(), bytearray()
        self._pieces: list[bytes] = []
        self.parser = MultipartParser(
            boundary,
            {
                "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._header,
                "on_part_data": self._data,
                "on_part_end": self._part_end,
                "on_end": self._end,
            },
        )

    def taken(self) -> list[bytes]:
        """The file's bytes since the last call."""
        pieces, self._pieces = self._pieces, []
        return pieces

    def _header(self) -> None:
        if bytes(self._name).lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            self._inside = options.get(b"name") == self._field and b"filename" in options
            self.files += self._inside
        self._name.clear()
        self._value.clear()

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._inside:
            self._pieces.append(data[start:end])

    def _part_end(self) -> None:
        self._inside = False

    def _end(self) -> None:
        self.ended = True
