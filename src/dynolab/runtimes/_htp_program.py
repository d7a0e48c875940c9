"""The process that runs a model once on the simulator of the Hexagon NPU: ``python -m dynolab.runtimes._htp_program FOLDER``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from dynolab.errors import Error
from dynolab.runtimes import _htp
from dynolab.spec.chipsets import chipset_named


def main(folder: Path) -> None:
    """Read the request and the inputs there, and leave the outputs."""
    request = json.loads((folder / _htp.REQUEST_FILE).read_text(encoding="utf-8"))
    try:
        session = _htp.open_session(request["model"], chipset_named(str(request["soc_model"])))
    except Error as error:
        sys.exit(error.message)
    with np.load(folder / _htp.INPUTS_FILE, allow_pickle=False) as inputs:
        outputs = session.run(None, {name: inputs[name] for name in inputs.files})
    found: dict[str, Any] = {f"output_{number}": value for number, value in enumerate(outputs)}
    np.savez(folder / _htp.OUTPUTS_FILE, **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
