"""A model is made known; its bytes come with an upload."""

from __future__ import annotations

import re
from datetime import datetime

from sqlalchemy import insert

from dynolab.errors import SpecInvalid
from dynolab.hub.store.tables import model
from dynolab.hub.usecases import bounds
from dynolab.hub.usecases.base import Account, Hub, checked_name, new_id
from dynolab.hub.usecases.find_formats import find_formats
from dynolab.hub.usecases.place import find_place
from dynolab.spec.models import is_format_name

ENDINGS = {
    "torchscript": ".pt",
    "exported_program": ".pt2",
    "onnx": ".onnx",
    "ort": ".ort",
    "tflite": ".tflite",
    "mlmodel": ".mlmodel",
    "mlmodelc": ".mlmodelc",
    "mlpackage": ".mlpackage",
    "tensorrt": ".trtmodel",
    "qnn_lib_aarch64_android": ".so",
    "qnn_lib_x86_64_linux": ".so",
    "qnn_context_binary": ".bin",
    "qnn_dlc": ".dlc",
    "aot_inductor": ".pt2",
    "precompiled_qnn_onnx": ".onnx",
    "aimet_onnx": ".aimet",
    "aimet_pt": ".aimet",
    "openvino_ir": ".xml",
    "mnn": ".mnn",
    "ncnn": ".param",
    "executorch": ".pte",
}
"""Kinds of models and how their files end; those that are folders come as ``.zip``. The hub keeps all of them: whether
one runs is a question to a device. It keeps those too that a device reads by what was installed there."""


def ending_of(kind: str) -> str:
    """How to name a file of a kind; of one that a device declares: the kind's own name, which the device knows to read."""
    return ENDINGS.get(kind) or f".{kind}"


def file_name(name: str, kind: str, is_directory: bool) -> str:
    """What to call a model's file where it is unpacked or opened: its owner's name for it, and an ending of its format."""
    ending = ".zip" if is_directory else ending_of(kind)
    safe = re.sub(r"[^\w.-]+", "_", name.removesuffix(ending), flags=re.ASCII).strip("._") or "model"
    return safe + ending


async def _check_offered(hub: Hub, account: Account, kind: str) -> None:
    offered = (await find_formats(hub, account)).kinds
    if kind not in offered or not is_format_name(kind):
        raise SpecInvalid(
            f"the model kind {kind!r} is not known, and no device reads it",
            hint=f"known: {', '.join(sorted({*ENDINGS, *offered}))}; "
            "a device reads others once their runtime is installed on it and its agent is started again",
        )


async def create_model(
    hub: Hub, account: Account, *, name: str, kind: str, is_directory: bool, project_id: str = ""
) -> tuple[str, datetime]:
    """The new model's id and instant. Raises :class:`SpecInvalid` for a kind that is none of :data:`ENDINGS` and that no device reads."""
    if kind not in ENDINGS:
        await _check_offered(hub, account, kind)
    bounds.check_text(project_id, "project_id")
    values = {
        "id": new_id("m"),
        "account_id": account.id,
        "name": checked_name(name, "model") or "model",
        "kind": kind,
        "is_directory": is_directory,
    }
    async with hub.database.begin() as connection:
        place = await find_place(connection, account, project_id)
        row = (
            await connection.execute(
                insert(model).values(**values, **place.columns).returning(model.c.id, model.c.created_at)
            )
        ).one()
    return row.id, row.created_at
