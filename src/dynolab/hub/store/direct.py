"""Transfers past the hub: addresses of an S3 store by which clients send and fetch bytes themselves, each for one thing and a while.

An upload is one of S3's multipart uploads, also where it has one part: the store refuses a part with another length than was
signed, joins what was sent, by the tags that the client was given, and then takes nothing more at these addresses. A form
(POST) has a policy that bounds its length; what came is copied, since its address stays good.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from dynolab import errors
from dynolab.hub.store.blobs import Stored

T = TypeVar("T")
READ_LIFE_S = 300
"""From the redirect to the download's beginning. S3 looks at an address's end when a request comes, and lets what has begun go on
(AWS, "Download and upload objects with presigned URLs")."""
SEND_LIFE_S, SEND_LEAST_BYTES_PER_S, SEND_MOST_S = 900, 256 << 10, 24 * 3600
"""The addresses of all parts are given at once, and the parts sent one after the other: so they last as long as all of it takes at
the least rate, and a while to begin. Who asks again is given others (``addresses``)."""
ONCE_LEAST_BYTES_PER_S = 16 << 10
"""AI Hub's client asks for no others, so its upload would have to begin anew: its addresses are for slow lines too. A day is what
an upload has in any case."""
COPY_MOST_BYTES = 5 << 30
"""The largest object that S3 copies, or takes in a form (AWS, CopyObject and POST Object)."""
PREFIXES = ("attempts", "uploads")
"""Where the hub writes."""


@dataclass(frozen=True, slots=True)
class Form:
    """A form that the store takes: where it is posted to, and what goes with it, before the file in the field ``file``."""

    url: str
    fields: dict[str, str]


def check_store(url: str) -> None:
    """Raises :class:`SpecInvalid` for what is no S3 store."""
    if not url.startswith("s3://"):
        raise errors.SpecInvalid(
            f"transfers = direct: {url or 'a folder'} is no S3 store",
            hint='blobs_url = "s3://bucket/prefix", or transfers = "hub"',
        )


class DirectTransfers:
    """One place in an S3 store, as clients reach it."""

    def __init__(self, url: str, endpoint: str | None = None) -> None:
        """``endpoint``: how clients reach the store, where that is not how the hub does. Raises :class:`SpecInvalid`, :class:`PluginMissing`."""
        check_store(url)
        self._bucket, _, prefix = url.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        inside = os.environ.get("AWS_ENDPOINT") or os.environ.get("AWS_ENDPOINT_URL")
        self._calls, self._signs = _client(inside), _client(endpoint or inside)
        self._signing = threading.Lock()

    async def begin(self, key: str, sizes: Sequence[int], *, asks_again: bool = True) -> tuple[str, tuple[str, ...]]:
        """A multipart upload's id, and the address of each part, which takes exactly so many bytes.

        ``asks_again``: whether who sends them asks for others when these have run out.
        """
        place = self._place(key)
        found = await self._asked(lambda: self._calls.create_multipart_upload(**place))
        upload: str = found["UploadId"]
        return upload, await self.addresses(key, upload, sizes, asks_again=asks_again)

    async def addresses(
        self, key: str, upload: str, sizes: Sequence[int], *, asks_again: bool = True
    ) -> tuple[str, ...]:
        """Addresses of the parts of an upload that was begun, good from now on (:func:`send_life_s`)."""
        place, life_s = self._place(key), send_life_s(sum(sizes), asks_again=asks_again)

        def signed() -> tuple[str, ...]:
            with self._signing:
                return tuple(
                    self._signs.generate_presigned_url(
                        "upload_part",
                        {**place, "UploadId": upload, "PartNumber": number, "ContentLength": size},
                        life_s,
                    )
                    for number, size in enumerate(sizes, 1)
                )

        return await asyncio.to_thread(signed)

    async def complete(self, key: str, upload: str, etags: Sequence[str], size: int) -> Stored:
        """Have the parts joined; said twice it is done once. ``etags`` empty: whatever came.

        Raises :class:`Conflict` where parts are missing, and :class:`SpecInvalid` for other bytes than were announced, which go.
        """
        place = self._place(key)
        try:
            tags = list(etags) or await self._come(place, upload)
            parts = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
            done = {**place, "UploadId": upload, "MultipartUpload": {"Parts": parts}}
            await self._asked(lambda: self._calls.complete_multipart_upload(**done))
        except FileNotFoundError:  # joined already, or swept
            if await self._head(place) is None:
                raise errors.NotFound("this upload is not known, or was swept") from None
        stored = await self._head(place)
        if stored is None or stored[0] != size:
            await self._asked(lambda: self._calls.delete_object(**place))
            came = 0 if stored is None else stored[0]
            raise errors.SpecInvalid(f"{came} bytes have arrived, {size} were announced", hint="upload it again")
        return Stored(key, stored[0], stored[1], None)

    async def abort(self, key: str, upload: str) -> None:
        """Have the store forget an upload and what came of it."""
        try:
            await self._asked(lambda: self._calls.abort_multipart_upload(**self._place(key), UploadId=upload))
        except FileNotFoundError:
            return

    async def abort_older(self, age: timedelta) -> None:
        """Have the store forget the uploads of this place that were begun longer ago, whoever began them."""
        for prefix in PREFIXES:
            await self._abort_older(f"{self._prefix}{prefix}/", age)

    async def _abort_older(self, prefix: str, age: timedelta) -> None:
        asked: dict[str, Any] = {"Bucket": self._bucket, "Prefix": prefix}
        while True:
            found = await self._asked(partial(self._calls.list_multipart_uploads, **asked))
            for one in found.get("Uploads", ()):
                if datetime.now(UTC) - one["Initiated"] > age:
                    await self.abort(one["Key"].removeprefix(self._prefix), one["UploadId"])
            if not found.get("IsTruncated"):
                return
            asked |= {"KeyMarker": found["NextKeyMarker"], "UploadIdMarker": found["NextUploadIdMarker"]}

    def form(self, key: str, least: int, most: int) -> Form:
        """A form for one file of so many bytes."""
        conditions = [["content-length-range", least, min(most, COPY_MOST_BYTES)]]
        with self._signing:
            made = self._signs.generate_presigned_post(
                self._bucket, self._prefix + key, Conditions=conditions, ExpiresIn=SEND_LIFE_S
            )
        return Form(made["url"], made["fields"])

    async def take_form(self, key: str, size: int | None) -> Stored | None:
        """What came by a form, under a key of its own that nobody can write to; None: nothing came.

        Raises :class:`SpecInvalid` for other bytes than were announced.
        """
        place, own = self._place(key), f"{key}-{secrets.token_hex(4)}"
        before = await self._head(place)
        if before is None:
            return None
        source = {"Bucket": self._bucket, "Key": self._prefix + key}
        await self._asked(
            lambda: self._calls.copy_object(CopySource=source, CopySourceIfMatch=before[1], **self._place(own))
        )
        await self._asked(lambda: self._calls.delete_object(**place))
        if size not in (None, before[0]):
            await self._asked(lambda: self._calls.delete_object(**self._place(own)))
            raise errors.SpecInvalid(f"{before[0]} bytes have arrived, {size} were announced", hint="upload it again")
        return Stored(own, before[0], before[1], None)

    def address(self, key: str, name: str) -> str:
        """Where an object is read for a while, as a file of this name."""
        told = {
            "ResponseContentDisposition": f'attachment; filename="{name}"',
            "ResponseContentType": "application/octet-stream",
        }
        with self._signing:
            url: str = self._signs.generate_presigned_url("get_object", {**self._place(key), **told}, READ_LIFE_S)
        return url

    def _place(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + key}

    async def _come(self, place: dict[str, str], upload: str) -> list[str]:
        """The tags of the parts that came. Raises :class:`Conflict` where there is none, or one between is missing."""
        found, asked = list[dict[str, Any]](), {**place, "UploadId": upload}
        while True:
            answer = await self._asked(partial(self._calls.list_parts, **asked))
            found += answer.get("Parts", ())
            if not answer.get("IsTruncated"):
                break
            asked["PartNumberMarker"] = answer["NextPartNumberMarker"]
        if not found or [one["PartNumber"] for one in found] != list(range(1, len(found) + 1)):
            raise errors.Conflict(f"{len(found)} parts have arrived, and not all", hint="send those that are missing")
        return [one["ETag"] for one in found]

    async def _head(self, place: dict[str, str]) -> tuple[int, str] | None:
        """Size and tag of an object; None: it is not there."""
        try:
            found = await self._asked(lambda: self._calls.head_object(**place))
        except FileNotFoundError:
            return None
        return found["ContentLength"], found["ETag"].strip('"')

    async def _asked(self, call: Callable[[], T]) -> T:
        """The store's answer. Raises FileNotFoundError for what is not there, :class:`SpecInvalid` for parts that do not fit."""
        import botocore.exceptions

        try:
            return await asyncio.to_thread(call)
        except botocore.exceptions.ClientError as error:
            told = error.response.get("Error", {})
            code, message = str(told.get("Code")), str(told.get("Message"))
            if code in ("NoSuchUpload", "NoSuchKey", "404"):
                raise FileNotFoundError(message) from error
            if code in ("InvalidPart", "InvalidPartOrder", "EntityTooSmall", "MalformedXML", "PreconditionFailed"):
                raise errors.SpecInvalid(f"the parts do not fit: {message}", hint="send them again") from error
            raise errors.Unavailable(f"the hub's blob store failed: {code}: {message}", hint="ask again") from error
        except botocore.exceptions.BotoCoreError as error:
            raise errors.Unavailable(f"the hub's blob store failed: {error}", hint="ask again") from error


def send_life_s(size: int, *, asks_again: bool = True) -> int:
    """For how long the addresses of so many bytes are good, in seconds."""
    least = SEND_LEAST_BYTES_PER_S if asks_again else ONCE_LEAST_BYTES_PER_S
    return min(SEND_LIFE_S + size // least, SEND_MOST_S)


def _client(endpoint: str | None) -> Any:
    """botocore's client, with the credentials and the region that obstore has: the environment's, or the machine's."""
    try:
        import botocore.config
        import botocore.session
    except ImportError as error:
        raise errors.PluginMissing("direct transfers need botocore", hint="pip install 'dynolab[s3]'") from error
    config = botocore.config.Config(
        signature_version="s3v4",
        connect_timeout=3,
        read_timeout=20,
        retries={"total_max_attempts": 3},
        # Else it adds checksums that clients do not send, and that stores of others do not know.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if endpoint else "auto"},
    )
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    return botocore.session.get_session().create_client("s3", region_name=region, endpoint_url=endpoint, config=config)
