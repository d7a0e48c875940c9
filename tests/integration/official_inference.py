"""Datasets and inference jobs with the official client; run in an environment of its own, it prints what it saw.

Standard input: JSON with the path of a model, its input's name, the device's name, and a folder for arrays.
"""

import contextlib
import json
import sys
from pathlib import Path

import numpy as np
import qai_hub as hub

asked = json.load(sys.stdin)
folder = Path(asked["folder"])
seen = {"version": hub.__version__}
with contextlib.redirect_stdout(sys.stderr):
    device = hub.Device(asked["device"])
    random = np.random.default_rng(7)
    batches = [random.random((1, 3, 48, 192), dtype=np.float32) for _ in range(3)]
    for number, batch in enumerate(batches):
        np.save(folder / f"input-{number}.npy", batch)
    given = {asked["input"]: batches}
    dataset = hub.upload_dataset(given, name="three batches")
    again = hub.get_dataset(dataset.dataset_id)
    seen["dataset"] = [again.name, again.get_expiration_status()]
    back = again.download()
    seen["same"] = all(np.array_equal(one, other) for one, other in zip(back[asked["input"]], batches, strict=True))
    seen["listed"] = dataset.dataset_id in [one.dataset_id for one in hub.get_datasets()]
    job = hub.submit_inference_job(
        model=asked["model"],
        device=device,
        inputs=dataset,
        name="three inferences",
        options="--max_profiler_iterations 1 --repeats 1",
    )
    job._polling_interval = 1  # ten seconds otherwise: the protocol's own pace, not what is tested
    seen["wait"] = job.wait().code
    outputs = job.download_output_data()
    for arrays in outputs.values():
        for number, array in enumerate(arrays):
            np.save(folder / f"output-{number}.npy", array)
    seen["outputs"] = {name: len(arrays) for name, arrays in outputs.items()}
    wrong = hub.submit_inference_job(model=asked["model"], device=device, inputs={"nonsense": batches}, name="wrong")
    wrong._polling_interval = 1
    status = wrong.wait()
    seen["wrong"] = [status.code, status.message]
print(json.dumps(seen, default=str))
