"""``python -m dynolab.doctor FOLDER``: the findings of this machine as JSON; FOLDER is where models are worked on."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from dynolab.doctor.examine import examine
from dynolab.spec import codec
from dynolab.spec.findings import Examined

if __name__ == "__main__":
    sys.stdout.write(json.dumps(codec.encode(Examined(tuple(examine(workspace=Path(sys.argv[1])))))) + "\n")
