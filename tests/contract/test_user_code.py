"""Test the owner's code behind a real server: public examples, and what goes wrong."""

from __future__ import annotations

import json
import shutil
import signal
import textwrap
import threading
import time
from pathlib import Path

import pytest

from model_handler import Handler
from tests.conftest import BUNDLED, labelled, lines
from tests.contract import targets
from tests.serve.logged import Logged, serving

JSON = {"Content-Type": "application/json"}
# As the SageMaker SDK sets them for an entry point.
ASKED = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": ""}


def directory(folder: Path, code: str, model: Path | None = None) -> dict[str, str]:
    """Return the variables that serve a model directory with this code/inference.py."""
    place = folder / "model"
    if model is not None:
        shutil.copytree(model, place)
    (place / "code").mkdir(parents=True)
    (place / "code" / "inference.py").write_text(textwrap.dedent(code))
    return {"MODEL_DIR": str(place), **ASKED}


def wait_until_ready(logged: Logged) -> None:
    """Wait for the import of torch and transformers, which takes long on a busy machine."""
    deadline = time.monotonic() + 180
    while logged.server.request("GET", "/ping").status != 200:
        assert time.monotonic() < deadline, logged.err.read_text()


def test_sentence_embeddings_with_mean_pooling(tmp_path: Path, checkpoint: Path) -> None:
    """The shape of Hugging Face's example of custom inference code: model_fn and predict_fn."""
    code = """
        import torch
        from transformers import AutoModel, AutoTokenizer

        def model_fn(model_dir):
            return AutoModel.from_pretrained(model_dir), AutoTokenizer.from_pretrained(model_dir)

        def predict_fn(data, model_and_tokenizer):
            model, tokenizer = model_and_tokenizer
            texts = data.pop("inputs", data)
            batch = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
            with torch.no_grad():
                states = model(**batch)[0]
            mask = batch["attention_mask"].unsqueeze(-1)
            mean = (states * mask).sum(1) / mask.sum(1)
            threads = torch.get_num_threads()
            return {"vectors": torch.nn.functional.normalize(mean), "threads": threads}
    """
    strict = {"CPU_THREADS": "1", "PING_READY": "strict"}
    with serving(tmp_path, **directory(tmp_path, code, checkpoint), **strict) as logged:
        wait_until_ready(logged)
        answer, line = logged.ask(json.dumps({"inputs": ["i love it", "not good"]}).encode(), JSON)
        assert answer.status == 200, logged.err.read_text()
        found = json.loads(answer.body)
    assert [len(vector) for vector in found["vectors"]] == [32, 32]
    assert sum(x * x for x in found["vectors"][0]) == pytest.approx(1, abs=1e-4)
    assert found["threads"] == 1
    assert (line["engine"], line["cold"]) == ("custom", True)
    assert line["infer_ms"] > 0
    assert line["InferenceTime"] > 0


def test_json_lines_into_a_state_dict(tmp_path: Path, checkpoint: Path) -> None:
    """The shape of a fine-tuned PyTorch model with weights, and JSON Lines in and out."""
    import torch
    from transformers import AutoModelForSequenceClassification

    code = """
        import json
        import torch
        from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

        classes = [-1, 0, 1]

        def model_fn(model_dir):
            config = AutoConfig.from_pretrained(model_dir)
            model = AutoModelForSequenceClassification.from_config(config)
            model.load_state_dict(torch.load(f"{model_dir}/model.pth", weights_only=True))
            model.tokenizer = AutoTokenizer.from_pretrained(model_dir)
            return model.eval()

        def input_fn(body, content_type="application/jsonlines"):
            assert content_type == "application/jsonlines"
            return [json.loads(line)["features"][0] for line in body.decode().splitlines()]

        def predict_fn(texts, model):
            answers = []
            for text in texts:
                tokens = model.tokenizer(text, return_tensors="pt")
                with torch.no_grad():
                    scores = model(**tokens).logits[0].softmax(0)
                best = int(scores.argmax())
                found = {"probability": float(scores[best]), "predicted_label": classes[best]}
                answers.append(found)
            return answers

        def output_fn(answers, accept="application/jsonlines"):
            return "".join(json.dumps(each) + "\\n" for each in answers), accept
    """
    settings = directory(tmp_path, code, checkpoint)
    place = Path(settings["MODEL_DIR"])
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint)
    torch.save(model.state_dict(), place / "model.pth")
    (place / "model.safetensors").unlink()
    body = b'{"features": ["i love it"]}\n{"features": ["not good"]}\n'
    kind = {"Content-Type": "application/jsonlines", "Accept": "application/jsonlines"}
    with serving(tmp_path, **settings, PING_READY="strict") as logged:
        wait_until_ready(logged)
        mine = logged.ask(body, kind)[0]
        assert mine.status == 200, logged.err.read_text()
    ours = labelled(Handler(checkpoint), "i love it", "not good")
    for one, other in zip(lines(mine.body), ours, strict=True):
        assert one["predicted_label"] == other.predicted_label
        assert one["probability"] == pytest.approx(other.probability, abs=1e-4)


def test_transform_fn_with_context_around_our_model(tmp_path: Path) -> None:
    code = """
        import json
        def transform_fn(model, body, content_type, accept, context):
            print("asked for", accept)
            found = model(json.loads(body)["comment"])
            return json.dumps({"id": context.get_request_id(), **found})
    """
    with serving(tmp_path, **directory(tmp_path, code, BUNDLED)) as logged:
        answer = logged.server.request("POST", "/invocations", b'{"comment": "I love it!"}', JSON)
        found = json.loads(answer.body)
        assert found["predicted_label"] == 1
        out = logged.out.read_text()
        assert "asked for application/json\n" in out
        assert found["id"] in out
        assert logged.err.read_text().count("Traceback") == 0


SLOW = """
    import json, time
    def model_fn(model_dir):
        return time.sleep
    def predict_fn(data, sleep):
        sleep(data)
        return {"slept": data}
"""


def test_a_call_that_overruns_is_504_and_the_next_one_waits_for_it(tmp_path: Path) -> None:
    settings = {**directory(tmp_path, SLOW), "DEADLINE_SECONDS": "2", "MAX_IN_FLIGHT": "2"}
    with serving(tmp_path, **settings) as logged:
        assert logged.ask(b"0", JSON)[0].status == 200
        began = time.monotonic()
        answer, line = logged.ask(b"3", JSON)
        assert answer.status == 504
        assert line["code"] == "deadline_exceeded"
        assert time.monotonic() - began < 2.9
        answer, line = logged.ask(b"0", JSON)  # behind the one that goes on
        assert answer.status == 200
        assert 200 < line["queue_ms"] < 1900
        assert logged.server.request("GET", "/ping").status == 200


def test_calls_run_one_at_a_time_while_pings_are_answered(tmp_path: Path) -> None:
    with serving(tmp_path, **directory(tmp_path, SLOW)) as logged:
        asked = [
            threading.Thread(
                target=logged.server.request, args=("POST", "/invocations", b"0.5", JSON)
            )
            for _ in range(3)
        ]
        for each in asked:
            each.start()
        began = time.monotonic()
        assert logged.server.request("GET", "/ping").status == 200
        assert time.monotonic() - began < 0.4
        for each in asked:
            each.join()
        queued = sorted(line["queue_ms"] for line in logged.requests())
        assert queued[1] > 300
        assert queued[2] > 800


def test_what_is_under_way_is_answered_when_the_server_is_stopped(tmp_path: Path) -> None:
    answers: list[targets.Answer] = []
    with serving(tmp_path, **directory(tmp_path, SLOW)) as logged:
        assert logged.ask(b"0", JSON)[0].status == 200
        client = threading.Thread(
            target=lambda: answers.append(
                logged.server.request("POST", "/invocations", b"1.5", JSON)
            )
        )
        client.start()
        time.sleep(0.5)
        logged.process.send_signal(signal.SIGTERM)
        assert logged.process.wait(20) == 0
        client.join(20)
    assert json.loads(answers[0].body) == {"slept": 1.5}


def test_a_call_that_never_ends_does_not_hold_up_the_end(tmp_path: Path) -> None:
    settings = {**directory(tmp_path, SLOW), "DEADLINE_SECONDS": "1"}
    with serving(tmp_path, **settings) as logged:
        assert logged.ask(b"600", JSON)[0].status == 504
        logged.stop()


def test_code_that_fails_to_load_leaves_a_server_that_says_so(tmp_path: Path) -> None:
    settings = directory(tmp_path, "import torch_of_nobody\n")
    with serving(tmp_path, **settings) as logged:
        answer = logged.server.request("POST", "/invocations", b"1", JSON)
        assert answer.status == 503
        assert b"inference.py, line 1: ModuleNotFoundError" in answer.body
        assert logged.server.request("GET", "/ping").status == 503
        assert "Traceback" in logged.err.read_text()
