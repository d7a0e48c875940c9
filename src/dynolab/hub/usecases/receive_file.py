"""A model or dataset that comes as one file, of which the sender tells no size; what breaks off leaves nothing."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator

from sqlalchemy import update

from dynolab.errors import SpecInvalid
from dynolab.hub.store.links import Link
from dynolab.hub.store.tables import dataset, model
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.begin_upload import begin_upload
from dynolab.hub.usecases.complete_upload import complete_upload
from dynolab.hub.usecases.create_dataset import create_dataset
from dynolab.hub.usecases.create_model import create_model
from dynolab.hub.usecases.delete_dataset import delete_dataset
from dynolab.hub.usecases.delete_model import delete_model
from dynolab.hub.usecases.find_formats import find_formats
from dynolab.hub.usecases.store_part import store_part
from dynolab.hub.usecases.tell_format import END_BYTES, called, format_inside, format_of
from dynolab.spec.models import ModelFormat

DATASET_ENDINGS = (".h5", ".hdf5")


async def receive_model(hub: Hub, account: Account, file_name: str, chunks: AsyncIterable[bytes]) -> str:
    """The new model's id.

    Raises :class:`ModelInvalid` for a file that is none by its name, :class:`TooLarge` and :class:`StorageFull`.
    """
    endings = (await find_formats(hub, account)).endings
    told = format_of(file_name, endings)
    model_id, _ = await create_model(
        hub, account, name=called(file_name), kind=told or ModelFormat.ONNX, is_directory=told is None
    )
    flow = _Flow(chunks)
    try:
        begun = await begin_upload(hub, account, model, model_id, size=None, verb="form")
        await store_part(hub, Link("form", begun.id, ""), flow)
        if told is None:  # the names of its files stand at a ZIP file's end
            await _tell(hub, model_id, format_inside(file_name, bytes(flow.end[-END_BYTES:]), flow.size, endings))
        await complete_upload(hub, account, model, model_id, upload_id=begun.id)
    except BaseException:
        await delete_model(hub, account, model_id)
        raise
    return model_id


async def receive_dataset(hub: Hub, account: Account, file_name: str, chunks: AsyncIterable[bytes]) -> str:
    """The new dataset's id. Raises :class:`SpecInvalid` for no HDF5 file, :class:`TooLarge` and :class:`StorageFull`."""
    check_dataset(file_name)
    dataset_id, *_ = await create_dataset(hub, account, name=called(file_name))
    try:
        begun = await begin_upload(hub, account, dataset, dataset_id, size=None, verb="form")
        await store_part(hub, Link("form", begun.id, ""), chunks)
        await complete_upload(hub, account, dataset, dataset_id, upload_id=begun.id)
    except BaseException:
        await delete_dataset(hub, account, dataset_id)
        raise
    return dataset_id


def check_dataset(file_name: str) -> None:
    """Raises :class:`SpecInvalid` for a file that is no dataset by its name."""
    if not file_name.lower().endswith(DATASET_ENDINGS):
        raise SpecInvalid(f"{file_name} is no dataset by its name", hint="a dataset is an HDF5 file, such as inputs.h5")


async def _tell(hub: Hub, model_id: str, kind: str) -> None:
    async with hub.database.begin() as connection:
        await connection.execute(update(model).where(model.c.id == model_id).values(kind=kind))


class _Flow:
    """Bytes that pass, are counted, and of which the last ones are kept."""

    def __init__(self, chunks: AsyncIterable[bytes]) -> None:
        self._chunks, self.end, self.size = chunks, bytearray(), 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._chunks:
            self.end += chunk
            self.size += len(chunk)
            if len(self.end) > 2 * END_BYTES:
                del self.end[:-END_BYTES]
            yield chunk
