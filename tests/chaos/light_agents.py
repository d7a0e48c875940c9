"""Light agents: threads of one process that claim, work a while, renew, leave a result and finish, through the agent's own HTTP.

``python -m tests.chaos.light_agents --hub URL --token-file FILE --name POOL --count N``. They measure nothing, so that a drill has
hundreds of jobs a minute; what they say of a job can be told from its id (:func:`figure_of`).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
import zlib
from contextlib import suppress
from pathlib import Path

from dynolab import errors
from dynolab.agent.http import HubDoor, Unreachable
from dynolab.spec.agents import AGENT_PROTOCOL, Assignment, ClaimRequest, DeviceOffer, Outcome, Renewal

RESULT_BYTES = 20_000
AGAIN_S = 0.5


def figure_of(job_id: str) -> int:
    """The inference time in ns that a light agent tells of a job: it is no other job's."""
    return 1_000_000 + zlib.crc32(job_id.encode())


class LightAgent(threading.Thread):
    """One device."""

    def __init__(self, door: HubDoor, offer: DeviceOffer, folder: Path, work_s: float) -> None:
        super().__init__(daemon=True)
        self._door, self._offer, self._folder, self._work_s = door, offer, folder, work_s

    def run(self) -> None:
        while True:
            try:
                found = self._door.claim(ClaimRequest(AGENT_PROTOCOL, self._offer, 10.0, unfit=self._unfit()))
                if found is not None:
                    self._tried(found)
            except (Unreachable, errors.Error) as error:
                sys.stderr.write(f"{self._offer.id}: {type(error).__name__}: {error}\n")
                time.sleep(AGAIN_S)

    def _unfit(self) -> str:
        """Why it takes no job; empty: it takes one."""
        try:
            (self._folder / "probe").write_bytes(b"x" * RESULT_BYTES)
        except OSError as error:
            time.sleep(AGAIN_S)
            return f"its disk cannot be written: {error.strerror}"
        return ""

    def _tried(self, found: Assignment) -> None:
        try:
            self._serve(found)
        except OSError as error:
            unfit = errors.DeviceUnfit(f"the device cannot be written to: {error.strerror}")
            self._door.finish(found.attempt, Outcome(error=unfit.to_dict()))

    def _serve(self, found: Assignment) -> None:
        """Raises :class:`~dynolab.errors.Conflict` where the job was given to another meanwhile."""
        self._door.fetch(found.attempt, "model", found.model, self._folder).unlink()
        until = time.monotonic() + self._work_s
        while (left_s := until - time.monotonic()) > 0:
            with suppress(Unreachable, errors.DeviceLost, errors.Unavailable):
                self._door.renew(found.attempt, Renewal({"stage": "inference"}, log=f"at it: {found.job}\n"))
            time.sleep(min(left_s, found.lease_s / 3))
        result = self._folder / "result.json"
        result.write_bytes(f'{{"job": "{found.job}"}}'.encode().ljust(RESULT_BYTES))
        for what in ("result", "log"):
            self._door.store(found.attempt, what, result)
        self._door.finish(found.attempt, Outcome(summary={"estimated_inference_time_ns": figure_of(found.job)}))


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--hub", required=True)
    parser.add_argument("--token-file", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--count", type=int, default=6)
    parser.add_argument("--work", type=float, default=0.3)
    parser.add_argument("--first", type=int, default=1, help="The number of the first device.")
    asked = parser.parse_args()
    token = asked.token_file.read_text(encoding="utf-8").strip()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(asked.first, asked.first + asked.count):
            own = Path(folder, str(number))
            own.mkdir()
            offer = DeviceOffer(
                id=f"{asked.name}-{number}",
                name=asked.name,
                os="1.0",
                attributes=("framework:onnx", "sandbox:none"),
            )
            LightAgent(HubDoor(asked.hub, token), offer, own, asked.work).start()
        threading.Event().wait()


if __name__ == "__main__":
    main()
