"""Label JSON Lines of texts with the model in MODEL_DIR: the plain container's whole code.

gunicorn --bind 0.0.0.0:8080 --timeout 60 app:app
"""

from __future__ import annotations

import io
import os

import jsonlines
from flask import Flask, Response, request
from transformers import pipeline

classify = pipeline("text-classification", model=os.environ.get("MODEL_DIR", "/opt/ml/model"))
app = Flask(__name__)


@app.get("/ping")
def ping() -> Response:
    """Answer 200, since the model was loaded when this module was."""
    return Response(status=200)


@app.post("/invocations")
def invocations() -> Response:
    """Answer each line {"features": ["text"]} with a probability and a predicted_label."""
    with jsonlines.Reader(io.BytesIO(request.get_data())) as reader:
        texts = [record["features"][0] for record in reader]
    answer = io.StringIO()
    with jsonlines.Writer(answer) as writer:
        for found in classify(texts, batch_size=8, truncation=True):
            label = int(found["label"])
            writer.write({"probability": found["score"], "predicted_label": label})
    return Response(answer.getvalue(), content_type="application/jsonlines")
