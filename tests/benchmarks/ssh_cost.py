"""What measuring over ssh costs and changes, against sshd on this machine: ``python tests/benchmarks/ssh_cost.py --pairs 6``.

Prints the ratio of inference minima (ssh over local, in pairs whose order alternates), whether memory ranges meet, the time that a
warm session takes to open and to end, and how long a model of 100 MB takes the first and the second time.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.devices.sshd import sshd

from dynolab.connections.base import Connection, ModelFiles, connect, this_machine
from dynolab.jobs.base import Context
from dynolab.jobs.profile import plugin as job
from dynolab.spec.jobs import ProfileSpec
from dynolab.spec.profiles import Profile

EXAMPLE = Path(__file__).parents[2] / "examples" / "models" / "ch_ppocr_mobile_v2.0_cls_infer.onnx"
THREADS = '--onnx_options "intra_op_num_threads=1"'


def measured(connection: Connection) -> Profile:
    spec = ProfileSpec(EXAMPLE, options=THREADS, input_shapes={"x": (1, 3, 48, 192)}, repeats=2)
    return job.run(job.validate(spec, here=connection.is_here), Context(connection, lambda event: None))


def minimum_ns(profile: Profile) -> int:
    assert profile.inference.time is not None
    return profile.inference.time.minimum_ns


def meets(a: Profile, b: Profile) -> bool:
    """Whether the memory ranges of the whole process meet."""
    one, other = a.process_total, b.process_total
    assert one is not None
    assert other is not None
    return one.peak.lower <= other.peak.upper and other.peak.lower <= one.peak.upper


def session_s(connection: Connection) -> float:
    before = time.monotonic()
    with connection.session(["onnxruntime"], print):
        pass
    return time.monotonic() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=6)
    pairs = parser.parse_args().pairs
    with sshd() as board, board.as_home(), closing(connect(board.address)) as there:
        here = this_machine()
        measured(there)  # brings everything
        ratios, met = [], 0
        for number in range(pairs):
            order = (here, there) if number % 2 == 0 else (there, here)
            found = {one.is_here: measured(one) for one in order}
            ratios.append(minimum_ns(found[False]) / minimum_ns(found[True]))
            met += meets(found[True], found[False])
        print(f"inference minimum, ssh / local: median {median(ratios):.3f} ({min(ratios):.3f} - {max(ratios):.3f})")
        print(f"memory of the whole process: ranges meet in {met} of {pairs}")
        times = [session_s(there) for _ in range(5)]
        print(f"warm session, opened and ended: {min(times):.2f} s at best, {median(times):.2f} s in the median")
        before = time.monotonic()
        with closing(connect(board.address)):
            pass
        print(f"connecting: {time.monotonic() - before:.2f} s")
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "weights").write_bytes(os.urandom(100_000_000))
            files = ModelFiles(Path(folder), ("weights",), "0" * 64)
            with there.session(["null"], print) as session:
                for which in ("first", "second"):
                    before = time.monotonic()
                    session.push_model(files, session.workspace)
                    print(f"100 MB, the {which} time: {time.monotonic() - before:.2f} s")


if __name__ == "__main__":
    main()
