"""What an engineer's script does with the official client; run in an environment of its own, it prints what it saw.

Standard input: JSON with the path of a model and the device's name. Standard output, last line: JSON.
"""

import contextlib
import json
import sys
import tempfile
from pathlib import Path

import qai_hub as hub

asked = json.load(sys.stdin)
seen = {"version": hub.__version__}
with contextlib.redirect_stdout(sys.stderr):
    device = hub.Device(asked["device"])
    seen["devices"] = [one.name for one in hub.get_devices()]
    seen["filtered"] = [one.name for one in hub.get_devices(attributes="framework:onnx")]
    seen["nowhere"] = len(hub.get_devices(name="no such device"))
    model = hub.upload_model(asked["model"], name="the model")
    seen["model"] = [model.name, str(model.model_type)]
    job = hub.submit_profile_job(
        model=model, device=device, name="a profile", options="--max_profiler_iterations 20 --repeats 1"
    )
    job._polling_interval = 1  # ten seconds otherwise: the protocol's own pace, not what is tested
    seen["wait"] = job.wait().code
    seen["message"] = job.get_status().message
    seen["repr"] = repr(job)
    seen["profile"] = job.download_profile()
    again = hub.get_job(job.job_id)
    seen["again"] = [again.job_id, again.name, again.get_status().code]
    seen["shapes"] = again.shapes
    again.set_name("renamed")
    seen["renamed"] = hub.get_job(job.job_id).name
    seen["summaries"] = [[one.job_id, one.name] for one in hub.get_job_summaries(limit=5)]
    seen["sharing"] = []
    job.modify_sharing(add_emails=["friend@example.org"])
    seen["sharing"].append(list(job.get_sharing()))
    job.modify_sharing(delete_emails=["friend@example.org"])
    seen["sharing"].append(list(job.get_sharing()))
    with tempfile.TemporaryDirectory() as folder:
        job.download_results(folder)
        seen["files"] = sorted(path.name.replace(job.job_id, "ID") for path in Path(folder).iterdir())
        seen["log"] = "".join(path.read_text() for path in Path(folder).glob("*.log"))
        path = model.download(folder + "/copy")
        seen["same"] = Path(path).read_bytes() == Path(asked["model"]).read_bytes()
    errors = {}
    for name, call in {
        "job": lambda: hub.get_job("jnothing"),
        "model": lambda: hub.get_model("mnothing"),
        "device": lambda: hub.submit_profile_job(model=model, device=hub.Device("no such device")),
        "options": lambda: hub.submit_profile_job(model=model, device=device, options="--no_such_option 1"),
        "compile": lambda: hub.submit_compile_job(model=model, device=device, options="--target_runtime qnn_dlc"),
    }.items():
        try:
            call()
            errors[name] = None
        except Exception as error:  # noqa: BLE001 - whatever it raises is what the user sees
            errors[name] = f"{type(error).__name__}: {error}"
    seen["errors"] = errors
print(json.dumps(seen, default=str))
