"""A program of its own environment: ONNX becomes TFLite there. Nothing of dynolab can be imported in it.

``MODEL.onnx FOLDER``: what came of it stands in ``answer.json`` in the folder.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def convert(model: Path, folder: Path) -> dict[str, str]:
    """``made``, the file's name, or ``error``, the converter's reason."""
    import onnx
    from onnx2tf.onnx2tf import convert as onnx2tf

    names = [value.name for value in onnx.load(str(model), load_external_data=False).graph.input]
    try:
        onnx2tf(
            input_onnx_file_path=str(model),  # which it writes over
            output_folder_path=str(folder),
            tflite_backend="flatbuffer_direct",  # needs no TensorFlow
            not_use_onnxsim=True,  # ONNX Runtime has simplified it already
            copy_onnx_input_output_names_to_tflite=True,
            keep_shape_absolutely_input_names=names,  # else 4-dimensional inputs become channel-last
            enable_rnn_unroll=True,  # else LSTMs keep their state from one inference to the next, which those of ONNX do not
            non_verbose=True,
        )
    except SystemExit as error:
        return {"error": f"it gave up with code {error.code}"}
    except Exception as error:  # noqa: BLE001 - a converter raises whatever its passes raise; a person reads the reason
        return {"error": f"{type(error).__name__}: {error}"}
    made = sorted(folder.glob("*_float32.tflite"))
    return {"made": made[0].name} if made else {"error": "it wrote no model"}


if __name__ == "__main__":
    place = Path(sys.argv[2])
    (place / "answer.json").write_text(json.dumps(convert(Path(sys.argv[1]), place)), encoding="utf-8")
