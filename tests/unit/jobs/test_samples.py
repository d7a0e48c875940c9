"""Calibration data: what an array holds of samples follows from what the input is declared as."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from dynolab.errors import SpecInvalid
from dynolab.jobs._quantize_child import HELD_OUT_EVERY, HELD_OUT_FROM, divided
from dynolab.jobs._samples import DataFile, find, load
from dynolab.spec.tensors import Dimension, TensorSpec


def shapes(tmp_path: Path, array: np.ndarray, declared: tuple[Dimension, ...], *, stacked: bool = True) -> list[object]:
    np.save(tmp_path / "x.npy", array)
    path = str(tmp_path / "x.npy")
    file = DataFile("x.npy", path) if stacked else DataFile("x.h5", None, {"x": path})
    return [sample["x"].shape for sample in load([file], [TensorSpec("x", "float32", declared)])]


@pytest.mark.parametrize(
    ("given", "declared", "found"),
    [
        ((4, 3), ("n", 3), [(1, 3)] * 4),
        ((4, 3), (1, 3), [(1, 3)] * 4),
        ((4, 3), (2, 3), [(2, 3)] * 2),
        ((4, 1, 3), (1, 3), [(1, 3)] * 4),
        ((4, 3), (3,), [(3,)] * 4),
        ((4,), (), [()] * 4),
    ],
)
def test_the_first_axis_counts_samples(
    tmp_path: Path, given: tuple[int, ...], declared: tuple[Dimension, ...], found: list[object]
) -> None:
    assert shapes(tmp_path, np.zeros(given, np.float32), declared) == found


@pytest.mark.parametrize(
    ("given", "declared", "found"),
    [((4, 3), ("n", 3), [(4, 3)]), ((1, 3), (1, 3), [(1, 3)]), ((4, 3), (2, 3), [(2, 3)] * 2), ((), (), [()])],
)
def test_a_batch_of_a_dataset_is_a_sample_unless_it_is_larger(
    tmp_path: Path, given: tuple[int, ...], declared: tuple[Dimension, ...], found: list[object]
) -> None:
    assert shapes(tmp_path, np.zeros(given, np.float32), declared, stacked=False) == found


@pytest.mark.parametrize(("given", "declared"), [((3, 3), (2, 3)), ((4, 2), ("n", 3)), ((2, 2, 2, 3), ("n", 3))])
def test_other_shapes_are_refused(tmp_path: Path, given: tuple[int, ...], declared: tuple[Dimension, ...]) -> None:
    with pytest.raises(SpecInvalid, match="has the shape"):
        shapes(tmp_path, np.zeros(given, np.float32), declared)


def test_inputs_with_unequal_counts_or_no_name_are_refused(tmp_path: Path) -> None:
    specs = [TensorSpec("x", "float32", (1, 3)), TensorSpec("ids", "int64", (1,))]
    np.savez(tmp_path / "two.npz", x=np.zeros((4, 3), np.float32), ids=np.zeros(3, np.int64))
    with pytest.raises(SpecInvalid, match="equally many samples of each input: 'x' 4, 'ids' 3"):
        load(find(tmp_path / "two.npz", tmp_path), specs)
    np.savez(tmp_path / "more.npz", x=np.zeros((4, 3), np.float32), ids=np.zeros(4, np.int64), y=np.zeros(4))
    with pytest.raises(SpecInvalid, match="an array named 'y', which is no input"):
        load(find(tmp_path / "more.npz", tmp_path), specs)
    np.save(tmp_path / "one.npy", np.zeros((4, 3), np.float32))
    with pytest.raises(SpecInvalid, match="holds one array, and the model has 2 inputs: x, ids"):
        load(find(tmp_path / "one.npy", tmp_path), specs)


def test_every_fifth_of_enough_samples_is_kept_for_the_comparison() -> None:
    samples = [{"x": np.array(number)} for number in range(HELD_OUT_FROM)]
    calibration, checked, held_out = divided(samples)
    assert held_out
    assert [int(one["x"]) for one in checked] == list(range(HELD_OUT_EVERY - 1, HELD_OUT_FROM, HELD_OUT_EVERY))
    assert len(calibration) + len(checked) == HELD_OUT_FROM
    assert not {id(one) for one in calibration} & {id(one) for one in checked}
    few, same, held_out = divided(samples[:-1])
    assert (len(few), len(same), held_out) == (HELD_OUT_FROM - 1, HELD_OUT_FROM - 1, False)


def test_archives_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    good = tmp_path / "good.npz"
    np.savez_compressed(good, x=np.arange(4000, dtype=np.float32).reshape(1000, 4))
    content = good.read_bytes()
    huge = tmp_path / "huge.npz"
    with zipfile.ZipFile(huge, "w") as archive:
        head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 4), }"
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head)
    (tmp_path / "cut.npz").write_bytes(content[: len(content) // 2])
    (tmp_path / "bent.npz").write_bytes(content[:200] + bytes(50) + content[250:])
    (tmp_path / "none.npz").write_bytes(b"")
    for name in ("huge", "cut", "bent", "none"):
        with pytest.raises(SpecInvalid, match=rf"{name}.npz cannot be read as .npz"):
            load(find(tmp_path / f"{name}.npz", tmp_path), [TensorSpec("x", "float32", ("n", 4))])
