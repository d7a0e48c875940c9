"""What AI Hub's recipes ask of a hub for their QNN targets, in order, with the official client; it prints what it saw.

Run in an environment of its own. Standard input: JSON with the path of a model, the device's name and a folder.
"""

import contextlib
import json
import sys

import numpy as np
import qai_hub as hub

asked = json.load(sys.stdin)
seen = {}
hub.Job._polling_interval = 1  # ten seconds otherwise: the protocol's own pace, not what is tested
with contextlib.redirect_stdout(sys.stderr):
    [device] = hub.get_devices(asked["device"])
    seen["attributes"] = device.attributes
    seen["frameworks"] = [one.name for one in hub.get_frameworks()]
    shapes = {"x": (1, 3, 16, 16)}
    names = "--output_names classes --force_channel_last_input x --qnn_options context_enable_graphs=my_net"
    compile_job = hub.submit_compile_job(
        model=asked["model"],
        device=device,
        input_specs=shapes,
        options=f"--target_runtime precompiled_qnn_onnx  {names}",
    )
    target = compile_job.get_target_model()
    try:
        hub.submit_inference_job(model=target, device=device)  # without inputs: a profile
        seen["profile"] = None
    except hub.UserError as error:
        seen["profile"] = str(error)
    image = np.random.default_rng(3).random((1, 16, 16, 3), dtype=np.float32)
    np.save(f"{asked['folder']}/image.npy", image)
    data = hub.upload_dataset({"x": [image]})
    inference_job = hub.submit_inference_job(model=target, device=device, inputs=data)
    seen["compile"] = [compile_job.wait().code, target.model_type.name]
    seen["inference"] = inference_job.wait().code
    np.save(f"{asked['folder']}/output.npy", inference_job.download_output_data()["classes"][0])
    seen["file"] = target.download(f"{asked['folder']}/model")
    target = hub.get_model(target.model_id)
    seen["specs"] = [str(target.input_spec), str(target.output_spec)]

    dlc_job = hub.submit_compile_job(
        model=asked["model"], device=device, input_specs=shapes, options=f"--target_runtime qnn_dlc  {names}"
    )
    dlc = dlc_job.get_target_model()
    link_job = hub.submit_link_job(models=[dlc], device=device, options="")
    seen["link"] = [link_job.wait().code, dlc_job.wait().code]
    linked = link_job.get_target_model()
    numbers = hub.submit_inference_job(model=linked, device=device, inputs=data)
    seen["linked"] = numbers.wait().code
    np.save(f"{asked['folder']}/linked.npy", numbers.download_output_data()["classes"][0])
    seen["types"] = [dlc.model_type.name, linked.model_type.name]
    seen["binary"] = linked.download(f"{asked['folder']}/linked")
    seen["dlc"] = dlc.download(f"{asked['folder']}/dlc")
print(json.dumps(seen, default=str))
