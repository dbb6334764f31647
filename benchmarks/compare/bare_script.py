"""Print a packed model's logits of one text: the least that any server of it must do.

python bare_script.py MODEL_DIR TEXT, with ORT_DISABLE_TELEMETRY=1 OPENBLAS_NUM_THREADS=1
"""

import json
import sys

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

folder, text = sys.argv[1:]
with open(f"{folder}/manifest.json", "rb") as stream:  # noqa: PTH123 - pathlib takes time to import
    graph = json.load(stream)["graph"]
options = onnxruntime.SessionOptions()
# As model_handler/engines/onnx_engine.py opens it; weights beside the graph are mapped.
options.intra_op_num_threads = 1
options.inter_op_num_threads = 1
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
options.log_severity_level = 4
options.add_session_config_entry("session.disable_prepacking", "1")
session = onnxruntime.InferenceSession(
    f"{folder}/{graph}", options, providers=["CPUExecutionProvider"]
)
tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
encoded = tokenizer.encode(text)
rows = {"input_ids": [encoded.ids], "attention_mask": [encoded.attention_mask]}
feed = {name: np.array(row, dtype=np.int64) for name, row in rows.items()}
print(json.dumps(session.run(["logits"], feed)[0][0].tolist()), flush=True)
