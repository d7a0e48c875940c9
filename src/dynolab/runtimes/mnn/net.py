"""What an .mnn file says of itself, read without the library: a FlatBuffers table (schema: MNN's schema/default/MNN.fbs)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from dynolab.errors import ModelInvalid

NET_OPERATORS, OP_KIND, OP_BODY, OP_NAME, INPUT_SHAPE = 3, 1, 2, 3, 0
"""Fields by their place in the tables Net, Op and Input."""
INPUT = 21
"""OpParameter_Input: what the body of an input's operator is."""
CONSTANT = 7
"""OpParameter_Blob: a constant, which is no operation."""


@dataclass(frozen=True, slots=True)
class Net:
    """The shapes that inputs are declared with, None where the file leaves a dimension open; and how many operations there are."""

    inputs: dict[str, tuple[int | None, ...]]
    operators: int


class _Table:
    """One table of a FlatBuffers file. Raises :class:`struct.error` and :class:`IndexError` for one that leads nowhere."""

    def __init__(self, content: bytes, at: int) -> None:
        self._content, self._at = content, at
        self._fields = at - self._number("<i", at)
        self._size = self._number("<H", self._fields)

    def _number(self, form: str, at: int) -> int:
        if at < 0:
            raise IndexError(at)
        return int(struct.unpack_from(form, self._content, at)[0])

    def _place(self, field: int) -> int | None:
        entry = 4 + 2 * field
        offset = self._number("<H", self._fields + entry) if entry < self._size else 0
        return self._at + offset if offset else None

    def _target(self, at: int) -> int:
        return at + self._number("<I", at)

    def byte(self, field: int) -> int:
        place = self._place(field)
        return 0 if place is None else self._number("<B", place)

    def table(self, field: int) -> _Table | None:
        place = self._place(field)
        return None if place is None else _Table(self._content, self._target(place))

    def text(self, field: int) -> str:
        place = self._place(field)
        if place is None:
            return ""
        start = self._target(place)
        return self._content[start + 4 : start + 4 + self._number("<I", start)].decode()

    def numbers(self, field: int) -> list[int]:
        return [self._number("<i", at) for at in self._entries(field)]

    def tables(self, field: int) -> list[_Table]:
        return [_Table(self._content, self._target(at)) for at in self._entries(field)]

    def _entries(self, field: int) -> range:
        place = self._place(field)
        if place is None:
            return range(0)
        start = self._target(place)
        count = self._number("<I", start)
        if count * 4 > len(self._content):
            raise IndexError(count)
        return range(start + 4, start + 4 + 4 * count, 4)


def read(path: Path) -> Net:
    """What the file says. Raises :class:`ModelInvalid` for one that is broken."""
    content = path.read_bytes()
    try:
        net = _Table(content, struct.unpack_from("<I", content)[0])
        inputs, count = {}, 0
        for one in net.tables(NET_OPERATORS):
            kind = one.byte(OP_KIND)
            body = one.table(OP_BODY) if kind == INPUT else None
            if body is not None:
                sizes = body.numbers(INPUT_SHAPE)
                inputs[one.text(OP_NAME)] = tuple(size if size >= 0 else None for size in sizes)
            count += kind not in (INPUT, CONSTANT)
    except (struct.error, IndexError, UnicodeDecodeError, RecursionError) as error:
        raise ModelInvalid(f"{path.name} is not a whole MNN model: {error}", hint="convert it again") from error
    if not inputs:
        raise ModelInvalid(f"{path.name} is not a whole MNN model: it has no input", hint="convert it again")
    return Net(inputs, count)
