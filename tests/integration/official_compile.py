"""AI Hub's first example with the official client: compile, profile, infer, download; it prints what it saw.

Run in an environment of its own. Standard input: JSON with the path of a traced model, the device's name and a folder.
"""

import contextlib
import json
import sys

import numpy as np
import qai_hub as hub

asked = json.load(sys.stdin)
seen = {"version": hub.__version__}
hub.Job._polling_interval = 1  # ten seconds otherwise: the protocol's own pace, not what is tested
with contextlib.redirect_stdout(sys.stderr):
    device = hub.Device(asked["device"])
    compile_job = hub.submit_compile_job(
        model=asked["model"],
        device=device,
        name="first example",
        input_specs={"image": (1, 3, 32, 32)},
        options=asked["options"],
    )
    early = compile_job.get_target_model() if asked["seeds"] else None
    profile_job = None
    if early is not None:  # what is submitted now waits at the hub for the model
        profile_job = hub.submit_profile_job(
            model=early, device=device, options="--max_profiler_iterations 1 --repeats 1"
        )
    status = compile_job.wait()
    seen["compile"] = [status.code, status.message]
    target = compile_job.get_target_model()
    seen["early"] = early is not None and early.model_id == target.model_id
    seen["target"] = [target.name, target.model_type.name]
    seen["specs"] = [dict(compile_job.shapes), dict(compile_job.target_shapes)]
    seen["producer"] = not hasattr(target, "get_producer") or target.get_producer().job_id == compile_job.job_id
    seen["types"] = sorted(type(hub.get_job(one)).__name__ for one in [compile_job.job_id])
    seen["listed"] = compile_job.job_id in [one.job_id for one in hub.get_job_summaries(type=hub.JobType.COMPILE)]
    if profile_job is None:
        profile_job = hub.submit_profile_job(
            model=target, device=device, options="--max_profiler_iterations 1 --repeats 1"
        )
    seen["profile"] = profile_job.wait().code
    seen["time"] = profile_job.download_profile()["execution_summary"]["estimated_inference_time"]
    image = np.linspace(-1, 1, 3 * 32 * 32, dtype=np.float32).reshape(1, 3, 32, 32)
    np.save(f"{asked['folder']}/image.npy", image)
    inference_job = hub.submit_inference_job(
        model=target, device=device, inputs={"image": [image]}, options="--max_profiler_iterations 1 --repeats 1"
    )
    seen["inference"] = inference_job.wait().code
    for name, arrays in inference_job.download_output_data().items():
        seen["output"] = name
        np.save(f"{asked['folder']}/output.npy", arrays[0])
    seen["file"] = target.download(f"{asked['folder']}/compiled")
    quantize_job = hub.submit_quantize_job(
        model=target,
        calibration_data={"image": [np.full((1, 3, 32, 32), k / 8, dtype=np.float32) for k in range(8)]},
        weights_dtype=hub.QuantizeDtype.INT8,
        activations_dtype=hub.QuantizeDtype.INT16,
    )
    seen["quantize"] = [quantize_job.wait().code, quantize_job.weights_dtype.name, quantize_job.activations_dtype.name]
    seen["quantized"] = quantize_job.get_target_model().download(f"{asked['folder']}/quantized")
    broken = hub.submit_compile_job(
        model=asked["model"], device=device, input_specs={"image": (1, 4, 32, 32)}, options=asked["options"]
    )
    status = broken.wait()
    seen["broken"] = [status.code, status.message]
    seen["nothing"] = None
    try:
        broken.get_target_model() and broken.get_target_model().download(f"{asked['folder']}/broken")
    except hub.UserError as error:
        seen["nothing"] = str(error)
    try:
        hub.submit_compile_job(model=target, device=device, options="--target_runtime qnn_dlc")
    except hub.UserError as error:
        seen["refused"] = str(error)
print(json.dumps(seen, default=str))
