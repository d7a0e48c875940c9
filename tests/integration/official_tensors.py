"""Inference jobs with the official client on text, types that numpy lacks and batches of several lengths; prints what came of them.

Standard input: JSON with the device's name, a folder for arrays, and jobs: each a model, options, and a file or arrays as inputs.
"""

import contextlib
import json
import sys
from pathlib import Path

import numpy as np
import qai_hub as hub

asked = json.load(sys.stdin)
seen = {}
with contextlib.redirect_stdout(sys.stderr):
    device = hub.Device(asked["device"])
    jobs = {}
    for name, wanted in asked["jobs"].items():
        given = wanted["inputs"]
        if isinstance(given, dict):
            given = {tensor: [np.load(path) for path in paths] for tensor, paths in given.items()}
        jobs[name] = hub.submit_inference_job(
            model=wanted["model"],
            device=device,
            inputs=given,
            name=name,
            options=wanted["options"],
            profile=name == "text",
        )
    for name, job in jobs.items():
        job._polling_interval = 1  # ten seconds otherwise: the protocol's own pace, not what is tested
        status = job.wait()
        outputs = {}
        if status.code == "SUCCESS":
            for tensor, arrays in job.download_output_data().items():
                outputs[tensor] = [str(Path(asked["folder"]) / f"{name}-{tensor}-{i}.npy") for i in range(len(arrays))]
                for path, array in zip(outputs[tensor], arrays, strict=True):
                    np.save(path, array.astype("S") if array.dtype.kind == "O" else array)
        seen[name] = [status.code, status.message, outputs]
print(json.dumps(seen, default=str))
