"""ExecuTorch: files that are no programs. What it computes is the contract suite's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dynolab.errors import ModelInvalid, ModelNotSupported
from dynolab.runtimes import executorch
from dynolab.runtimes.base import Target


@pytest.mark.parametrize(
    "content", [b"", b"garbage" * 20, b"\0\0\0\0ET12" + bytes(100)], ids=["empty", "garbage", "head"]
)
def test_what_is_no_program_is_refused_by_name(tmp_path: Path, target: Callable[..., Target], content: bytes) -> None:
    if (reason := executorch.plugin.unavailable()) is not None:
        pytest.skip(reason)
    (tmp_path / "broken.pte").write_bytes(content)
    with pytest.raises(ModelInvalid, match=r"broken\.pte is no ExecuTorch program that is whole"):
        executorch.plugin.describe(target(tmp_path / "broken.pte"))


class _Told:
    """What the library tells of a tensor."""

    def __init__(self, kind: int) -> None:
        self.kind = kind

    def dtype(self) -> int:
        return self.kind

    def sizes(self) -> tuple[int, ...]:
        return (1, 4)


def test_an_element_type_that_numpy_lacks_is_named() -> None:
    assert executorch._spec("input_0", _Told(6)).dtype == "float32"
    with pytest.raises(ModelNotSupported, match="input_0 has the element type 15"):
        executorch._spec("input_0", _Told(15))
