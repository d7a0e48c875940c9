"""Every error of dynolab: what was wrong, whose fault it is, and the way out.

Error
|- UserError       blame=user    SpecInvalid ModelInvalid ModelNotSupported NotFound Conflict Forbidden Unauthorized
|                                TooLarge MediaTypeInvalid Outdated RateLimited DependencyFailed
|- DeviceError     blame=device  DeviceLost DeviceBusy TransferFailed DeviceUnstable DeviceUnfit
|- WorkerError     blame=model   LoadFailed InferenceFailed WorkerCrashed WorkerTimeout OutOfMemory
|- PluginMissing   blame=setup
|- Unavailable     blame=us      HTTP 503: for a while; ask again
|- StorageFull     blame=setup
`- Bug             blame=us
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isfinite
from typing import ClassVar, Literal

Blame = Literal["user", "device", "model", "setup", "us"]


class Error(Exception):
    """The root of the tree. The message names the offending value; ``hint`` says what to do."""

    blame: ClassVar[Blame] = "us"
    retriable: ClassVar[bool] = False
    http_status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, *, hint: str | None = None, details: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details: dict[str, object] = dict(details or {})

    @property
    def code(self) -> str:
        """The class's name: the stable word for programs."""
        return type(self).__name__

    @property
    def retry_after_s(self) -> int | None:
        """The whole seconds after which the same may be asked again; None: nobody said so."""
        told = self.details.get("retry_after_s")
        return told if isinstance(told, int) else None

    def to_dict(self) -> dict[str, object]:
        """A JSON-ready form, read back by :func:`from_dict`; details that JSON cannot say become text."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "details": _plain(self.details)}


class UserError(Error):
    """The request cannot be carried out as it stands."""

    blame = "user"
    http_status = 400


class SpecInvalid(UserError):
    """An option, shape, input or file name that does not fit."""

    http_status = 422
    several: Sequence[SpecInvalid] = ()
    """Those that it tells of; none: it is one itself."""


class Wrong:
    """Settings that do not fit, so that all of them are told at once and not one after the other."""

    def __init__(self, what: str, hint: str) -> None:
        """``what`` they are, in the plural; ``hint``: the way out of several."""
        self._what, self._hint = what, hint
        self._found: list[SpecInvalid] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        """What the block finds wrong is told later."""
        try:
            yield
        except SpecInvalid as error:
            self._found += error.several or [error]

    def check(self) -> None:
        """Raises :class:`SpecInvalid` where something was found: of one its own, of several one that tells each with its way out."""
        if not self._found:
            return
        if len(self._found) == 1:
            raise self._found[0]
        each = [f"  {one.message}" + (f" ({one.hint})" if one.hint else "") for one in self._found]
        told = SpecInvalid("\n".join([f"{len(each)} {self._what} do not fit:", *each]), hint=self._hint)
        told.several = list(self._found)
        raise told


class ModelInvalid(UserError):
    """The model file is broken, incomplete or unsafe to open."""

    http_status = 422


class ModelNotSupported(UserError):
    """The model is sound, but the runtime cannot run it."""

    http_status = 422


class NotFound(UserError):
    """A file or object that is not there."""

    http_status = 404


class Conflict(UserError):
    """The object is in a state that does not allow this."""

    http_status = 409


class Forbidden(UserError):
    """The caller may not do this."""

    http_status = 403


class Unauthorized(UserError):
    """The caller did not say who it is, or nobody here knows it."""

    http_status = 401


class TooLarge(UserError):
    """More bytes than are taken here."""

    http_status = 413


class MediaTypeInvalid(UserError):
    """The body is of another type than is read here."""

    http_status = 415


class Outdated(UserError):
    """The caller's program is older than this hub takes."""

    http_status = 426


class RateLimited(UserError):
    """Too many requests."""

    http_status = 429
    retriable = True


class DependencyFailed(UserError):
    """A job that this one waits for did not end well."""

    http_status = 409


class DeviceError(Error):
    """The device failed, not the model; another device may do."""

    blame = "device"
    retriable = True
    http_status = 502


class DeviceLost(DeviceError):
    """The device does not answer any more."""


class DeviceBusy(DeviceError):
    """Somebody else holds the device."""


class TransferFailed(DeviceError):
    """Files could not be moved to or from the device."""


class DeviceUnstable(DeviceError):
    """The device answers, but not twice the same."""


class DeviceUnfit(DeviceError):
    """The device is in trouble itself: its disk is full, say. Another may do, or the same one later."""


class WorkerError(Error):
    """The model failed in its worker process: a result of the job, not a fault of dynolab."""

    blame = "model"
    http_status = 422


class LoadFailed(WorkerError):
    """The runtime refused to load the model."""


class InferenceFailed(WorkerError):
    """The runtime loaded the model, but could not run it."""


class WorkerCrashed(WorkerError):
    """The worker process died by a signal, or ended without a result."""


class WorkerTimeout(WorkerError):
    """The time limit was reached; the worker was killed."""


class OutOfMemory(WorkerError):
    """The memory limit was reached, or the system had no more memory."""


class PluginMissing(Error):
    """A runtime, report or other plug-in whose library is not installed."""

    blame = "setup"
    http_status = 501


class StorageFull(Error):
    """The hub keeps as many bytes as its operator allows."""

    blame = "setup"
    http_status = 507


class Unavailable(Error):
    """The hub, or something that it needs such as its database, is away for a while."""

    retriable = True
    http_status = 503

    @property
    def retry_after_s(self) -> int:
        """As for any error; a second where nobody said otherwise."""
        return super().retry_after_s or 1


class Bug(Error):
    """A state that dynolab's own code should have excluded."""

    exit_code = 70  # EX_SOFTWARE of sysexits.h; 3 says that a gate cannot tell


TROUBLE: Mapping[int, str] = {
    errno.ENOSPC: "its disk is full",
    errno.EDQUOT: "its disk quota is used up",
    errno.EROFS: "its disk can only be read",
    errno.EIO: "its disk fails",
    errno.ESTALE: "its disk is gone",
    errno.EMFILE: "no more files can be opened",
    errno.ENFILE: "no more files can be opened",
    errno.EAGAIN: "no more processes can be started",
    errno.ENOMEM: "it has no memory left",
}
"""What the system refuses for its own state, whoever asks (errno(3))."""


def unfit(error: BaseException) -> DeviceUnfit | None:
    """What an error says of the device that it came up on, by what the system refused on the way to it; None: nothing."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, DeviceUnfit):
            return cause
        if isinstance(cause, MemoryError):
            return DeviceUnfit(f"the device is unfit: {TROUBLE[errno.ENOMEM]}")
        if isinstance(cause, OSError) and (said := TROUBLE.get(cause.errno or 0)) is not None:
            return DeviceUnfit(f"the device is unfit: {said}", details={"file": cause.filename})
        cause = cause.__cause__ or cause.__context__
    return None


def _plain(value: object) -> object:
    """``value`` with everything that JSON cannot say as text: writing an error down must not fail."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and isfinite(value)):
        return value
    return str(value)


def _subclasses(root: type[Error]) -> dict[str, type[Error]]:
    found = {root.__name__: root}
    for child in root.__subclasses__():
        found.update(_subclasses(child))
    return found


def from_dict(document: Mapping[str, object]) -> Error:
    """The error that :meth:`Error.to_dict` described; an unknown code becomes :class:`Bug`."""
    kind = _subclasses(Error).get(str(document.get("code")), Bug)
    hint, details = document.get("hint"), document.get("details")
    return kind(
        str(document.get("message", "no message")),
        hint=str(hint) if hint else None,
        details=details if isinstance(details, Mapping) else None,
    )
