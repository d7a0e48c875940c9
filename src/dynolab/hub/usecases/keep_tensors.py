"""What a model takes and gives, as the agent that ran it told: the hub opens no model file itself."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.hub.store.tables import model
from dynolab.spec import codec
from dynolab.spec.agents import Tensors
from dynolab.spec.tensors import Quantization, TensorSpec


def is_printable(tensors: Tensors) -> bool:
    """Whether a text can hold the names of all."""
    told: tuple[TensorSpec | Quantization, ...] = (*tensors.inputs, *tensors.outputs, *tensors.quantizations)
    return all((one.name + one.dtype).isprintable() for one in told)


async def keep_tensors(connection: AsyncConnection, row: Row[Any], tensors: Tensors | None) -> Any:
    """What is kept with the job whose row this is; None: nothing. Names that no text can hold are not kept, nor shown.

    The model keeps them too, if it fixes its shapes and the job is its owner's: nobody tells others what their models are.
    """
    if tensors is None or not is_printable(tensors):
        return None
    document = codec.encode(tensors)
    if tensors.fixed:
        of = model.c.id == row.model_id, model.c.account_id == row.account_id
        known = await connection.scalar(select(model.c.tensors).where(*of))
        # Scale and zero point of integers are told by the job that made the model, and by no job that runs it.
        told = document | {"quantizations": (known or {}).get("quantizations") or document.get("quantizations", [])}
        if known != told:
            await connection.execute(update(model).where(*of).values(tensors=told))
    return document
