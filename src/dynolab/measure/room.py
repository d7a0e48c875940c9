"""Whether a device has room for what is to be written, as a trial tells."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from dynolab import errors

TRIAL_BYTES = 64 << 10


def trouble(folder: Path) -> errors.DeviceUnfit | None:
    """The error if nothing can be written to a folder for the device's own sake; None when all is well, or it is not there.

    Free space alone does not tell: quotas, broken disks and those that can only be read refuse as well.
    """
    path = folder / f"trial-{os.getpid()}"
    try:
        path.write_bytes(b"\0" * TRIAL_BYTES)
    except OSError as error:
        return errors.unfit(error)
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
    return None
