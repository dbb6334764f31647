"""Test how the owner's code is found, called and answered for, in process."""

from __future__ import annotations

import json
import logging
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from model_handler import ModelError
from serve import create_app
from serve.settings import Settings
from tests.conftest import BLOG, BUNDLED, lines

JSON = {"Content-Type": "application/json"}
SECRET = "pomegranate"
Serve = Callable[..., FlaskClient]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Make a directory with the default model and an empty code directory."""
    directory = tmp_path / "model"
    shutil.copytree(BUNDLED, directory)
    (directory / "code").mkdir()
    return directory


@pytest.fixture(autouse=True)
def _imports_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys, "dont_write_bytecode", sys.dont_write_bytecode)
    before = set(sys.modules)
    yield
    for name in {"inference", "neighbour", "shop", "shop.handlers"} - before:
        sys.modules.pop(name, None)


@pytest.fixture
def serve(model: Path) -> Serve:
    """Return a function that serves a code/inference.py with these variables."""

    def serve(code: str, **variables: str) -> FlaskClient:
        (model / "code" / "inference.py").write_text(textwrap.dedent(code))
        given = {"MODEL_DIR": str(model), "SAGEMAKER_PROGRAM": "inference.py", **variables}
        given = {"MODEL_LOAD": "lazy", "LOG_LEVEL": "warning", **given}
        return create_app(Settings.from_environment(given)).test_client()

    return serve


def refused(serve: Serve, code: str, **variables: str) -> str:
    """Return why the code cannot be loaded, as an eager load says it."""
    with pytest.raises(ModelError) as error:
        serve(code, MODEL_LOAD="eager", **variables)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_code_is_not_run_unless_the_variable_asks(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    client = serve("raise SystemExit('run')", SAGEMAKER_PROGRAM="")
    assert len(lines(client.post("/invocations", data=BLOG).data)) == 3
    assert "SAGEMAKER_PROGRAM=inference.py runs code/inference.py" in caplog.text


def test_input_and_output_around_the_model_of_the_directory(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    client = serve("""
        import json
        def input_fn(body, content_type):
            return [review["comment"] for review in json.loads(body)["reviews"]]
        def output_fn(predictions, accept):
            return json.dumps([each["predicted_label"] for each in predictions])
    """)
    body = {"reviews": [{"comment": "I love it!"}, {"comment": "Not right, it broke."}]}
    answer = client.post("/invocations", json=body)
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    assert json.loads(answer.data) == [1, -1]
    assert "not run" not in caplog.text


def test_predict_fn_gets_a_model_that_answers_as_the_server_does(serve: Serve) -> None:
    client = serve("""
        def predict_fn(data, model):
            texts = data["texts"]
            assert model(texts) == model.predict([{"features": [text]} for text in texts])
            one, scores = model(texts[0]), model(texts, scores=True)
            return {"one": one, "all": model(texts), "scores": scores}
    """)
    found = json.loads(client.post("/invocations", json={"texts": ["I love it", "bad"]}).data)
    body = b'{"features": ["I love it"]}\n{"features": ["bad"]}\n'
    server = create_app(Settings(model_dir=BUNDLED, model_load="lazy")).test_client()
    answered = lines(server.post("/invocations", data=body).data)
    for mine, other in zip(found["all"], answered, strict=True):
        assert mine["predicted_label"] == other["predicted_label"]
        assert mine["probability"] == pytest.approx(other["probability"], abs=0.02)
    assert found["one"]["predicted_label"] == answered[0]["predicted_label"]
    assert set(found["scores"][0]["scores"]) == {"-1", "0", "1"}


@pytest.mark.parametrize("context", ["", ", context"])
def test_every_function_is_called_with_or_without_the_context(serve: Serve, context: str) -> None:
    told = "context.get_request_header(0, 'X-Amzn-SageMaker-Custom-Attributes')" if context else "1"
    client = serve(f"""
        def model_fn(model_dir{context}):
            return lambda data: [model_dir, data]
        def input_fn(body, content_type{context}):
            return [type(body).__name__, content_type]
        def predict_fn(data, model{context}):
            return model(data)
        def output_fn(prediction, accept{context}):
            return repr((prediction, accept, {told})), "text/plain"
    """)
    headers = {"Accept": "text/x", "X-Amzn-SageMaker-Custom-Attributes": "tenant"}
    answer = client.post("/invocations", data=b"[]", headers={**JSON, **headers})
    assert answer.content_type == "text/plain"
    (directory, data), accept, last = eval(answer.data)
    assert directory.endswith("/model")
    assert data == ["str", "application/json"]
    assert (accept, last) == ("text/x", "tenant" if context else 1)


@pytest.mark.parametrize("context", ["", ", context"])
def test_transform_fn_does_all(serve: Serve, context: str) -> None:
    client = serve(f"""
        def model_fn(model_dir):
            return "a model"
        def transform_fn(model, body, content_type, accept{context}):
            return f"{{model}} {{type(body).__name__}} {{content_type}} {{accept}}"
    """)
    answer = client.post("/invocations", data=b"\xff", headers={"Content-Type": "image/png"})
    assert answer.data == b"a model bytes image/png application/json"
    assert answer.content_type == "application/json"


def test_model_fn_alone_is_called_with_the_inputs_and_parameters(serve: Serve) -> None:
    client = serve("""
        class Array:
            def tolist(self):
                return [1.5, 2.5]
        def model_fn(model_dir):
            return lambda inputs, top=1: {"inputs": inputs, "top": top, "array": Array()}
    """)

    def ask(body: str, kind: str, **headers: str) -> bytes:
        answer = client.post("/invocations", data=body, headers={"Content-Type": kind, **headers})
        assert answer.status_code == 200, answer.data
        found: bytes = answer.data
        return found

    body = '{"inputs": ["a"], "parameters": {"top": 3}}'
    expected = {"inputs": ["a"], "top": 3, "array": [1.5, 2.5]}
    assert json.loads(ask(body, "application/json; charset=utf-8")) == expected
    assert json.loads(ask('["a"]', "application/json"))["inputs"] == ["a"]
    assert json.loads(ask('{"x": 1}', "application/json"))["inputs"] == {"x": 1}
    assert json.loads(ask('{"x": 1}\n2\n', "application/jsonlines"))["inputs"] == [{"x": 1}, 2]
    assert json.loads(ask('inputs\n"a, b"\nc\n', "text/csv"))["inputs"] == ["a, b", "c"]
    assert json.loads(ask("some text", "text/plain"))["inputs"] == "some text"
    assert ask("a", "text/plain", Accept="application/jsonlines").count(b"\n") == 1
    csv = ask("a", "text/plain", Accept="text/csv")
    assert csv.startswith(b"inputs,top,array\r\na,1,")


@pytest.mark.parametrize(
    ("body", "kind", "accept", "status", "says"),
    [
        ("{", "application/json", "*/*", 400, "not valid JSON"),
        ("1\n{\n", "application/jsonlines", "*/*", 400, "line 2 is not valid JSON"),
        ("a,b\n1,2\n", "text/csv", "*/*", 400, "must name its columns"),
        ("x", "image/png", "*/*", 415, "cannot be read without an input_fn"),
        ("1", "application/json", "image/png", 406, "ask for application/json"),
        ('{"inputs": 1, "parameters": 2}', "application/json", "*/*", 400, "not an object"),
    ],
)
def test_what_the_default_functions_cannot_read_or_write(
    serve: Serve, body: str, kind: str, accept: str, status: int, says: str
) -> None:
    client = serve("def model_fn(model_dir): return lambda inputs: inputs")
    headers = {"Content-Type": kind, "Accept": accept}
    answer = client.post("/invocations", data=body, headers=headers)
    assert answer.status_code == status
    assert says in json.loads(answer.data)["error"]


def test_a_type_comes_from_the_variable_of_the_toolkits_where_accept_has_no_wish(
    serve: Serve,
) -> None:
    code = "def model_fn(model_dir): return lambda inputs: [1, 2]"
    client = serve(code, SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT="application/jsonlines")
    answer = client.post("/invocations", data="0", headers=JSON)
    assert (answer.content_type, answer.data) == ("application/jsonlines", b"1\n2\n")


def test_a_value_error_is_the_clients_and_any_other_fault_is_ours(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    code = """
        def predict_fn(data, model):
            if data == "empty":
                raise ValueError
            if data == "exit":
                raise SystemExit(3)
            if data == "type":
                raise KeyError("no such thing")
            if data == "nan":
                return float("nan")
            raise ValueError("send a number below 10")
    """
    client = serve(code)
    answer = client.post("/invocations", json="wrong")
    assert answer.status_code == 400
    assert json.loads(answer.data)["error"] == "send a number below 10"
    assert "inference.py, line 11: ValueError" in caplog.text
    for body in ("empty", "exit", "type", "nan"):
        caplog.clear()
        answer = client.post("/invocations", json=body)
        error = json.loads(answer.data)["error"]
        assert answer.status_code == 500
        identity = error.split()[2].rstrip(";")
        assert f"internal error {identity} in your code" in caplog.text
        assert "Traceback" in caplog.text
        assert "no such thing" not in error
    assert client.get("/ping").status_code == 200
    assert serve(code, VALUE_ERROR_STATUS="500").post("/invocations", json="").status_code == 500


def test_what_our_model_refuses_is_told_to_the_client(serve: Serve) -> None:
    client = serve("def predict_fn(data, model): return model(data)")
    answer = client.post("/invocations", json=["fine", 7])
    assert answer.status_code == 400
    assert json.loads(answer.data)["error"].startswith("record 2: expected")


def test_the_server_logs_no_text_of_a_request(
    serve: Serve, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    client = serve("def predict_fn(data, model): return 1 / 0", LOG_LEVEL="info")
    with caplog.at_level(logging.INFO):
        assert client.post("/invocations", json={"inputs": SECRET}).status_code == 500
    assert "ZeroDivisionError" in caplog.text
    assert SECRET not in caplog.text + capsys.readouterr().out


def test_prints_are_whole_lines_of_the_log(
    serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    client = serve("""
        import sys, threading
        def print_in_two():
            print("one", end=" ")
            sys.stdout.flush()
            yield
            print("line")
        def predict_fn(data, model):
            mine = print_in_two()
            next(mine)
            other = threading.Thread(target=print, args=("another",))
            other.start()
            other.join()
            next(mine, None)
    """)
    assert client.post("/invocations", json=0).data == b"null\n"
    assert capsys.readouterr().out == "another\none line\n"


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("def model_fn(:", ("inference.py, line 1: SyntaxError",)),
        ("\nimport nothing_of_this_name", ("line 2: ModuleNotFoundError", "nothing_of_this_name")),
        ("raise SystemExit(4)", ("inference.py, line 1: SystemExit: 4",)),
        (
            "def model_fn(model_dir):\n    open(model_dir + '/nowhere')",
            ("model_fn failed", "inference.py, line 2: FileNotFoundError", "/nowhere"),
        ),
        ("x = 1", ("defines none of model_fn, input_fn",)),
        ("predict_fn = 3", ("predict_fn is not a function",)),
        ("def predict_fn(data): pass", ("takes 1 arguments", "(data, model, context)")),
        (
            "def transform_fn(a, b, c, d): pass\ndef input_fn(a, b): pass",
            ("defines transform_fn, which does all of input_fn",),
        ),
    ],
)
def test_code_that_cannot_be_loaded_is_one_line(
    serve: Serve, code: str, says: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    message = refused(serve, code)
    for words in says:
        assert words in message
    assert ("Traceback" in caplog.text) == ("Error: " in message or "SystemExit" in message)


def test_pings_and_requests_say_why_the_code_cannot_be_loaded(serve: Serve) -> None:
    client = serve("raise RuntimeError('no licence')", MODEL_LOAD="background")
    deadline = time.monotonic() + 10
    while client.get("/ping").status_code == 200:
        assert time.monotonic() < deadline
    for answer in (client.get("/ping"), client.post("/invocations", json=1)):
        assert answer.status_code == 503
        assert "RuntimeError: no licence" in json.loads(answer.data)["error"]


@pytest.mark.parametrize("code", ["1 / 0", "def predict_fn(data, model): return model(data)"])
@pytest.mark.parametrize("path", ["/ping", "/invocations"])
def test_that_it_could_not_be_loaded_is_said_once(
    serve: Serve, model: Path, code: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    (model / "manifest.json").unlink()
    client = serve(code)
    client.post("/invocations", json=1)
    answer = client.open(path, method="GET" if path == "/ping" else "POST", json=1)
    error = json.loads(answer.data)["error"]
    assert error.startswith("the model could not be loaded: ")
    for words in (error, *caplog.messages):
        assert words.count("could not be loaded") + words.count("load failed") <= 1


def test_a_strict_ping_waits_for_the_code(serve: Serve) -> None:
    client = serve("def model_fn(model_dir): return str", PING_READY="strict")
    assert client.get("/ping").status_code == 503
    assert client.post("/invocations", json=1).status_code == 200
    assert client.get("/ping").status_code == 200


def test_code_without_model_fn_needs_a_model_in_the_directory(serve: Serve, model: Path) -> None:
    (model / "manifest.json").unlink()
    message = refused(serve, "def predict_fn(data, model): pass")
    assert message.startswith("the code has no model_fn, and ")
    assert "holds no model" in message
    serve("def model_fn(model_dir): return str", MODEL_LOAD="eager")


def test_requirements_that_are_not_installed_are_refused_with_the_way_on(
    serve: Serve, model: Path
) -> None:
    requirements = model / "code" / "requirements.txt"
    code = "def model_fn(model_dir): return str"
    requirements.write_text(
        "# what it needs\nflask\nnumpy>=2.0  # any\n\nnotes; python_version < '3'\n"
    )
    serve(code, MODEL_LOAD="eager")
    for line in ("nothing-of-this-name", "numpy<1", "-r other.txt", "git+https://example.com/x"):
        requirements.write_text(f"flask\n{line}\n")
        message = refused(serve, code)
        assert f"requirements.txt names {line}, which this image does not have" in message
        assert "FROM" in message
        assert "RUN pip install -r requirements.txt" in message


@pytest.mark.parametrize("given", ["", "s3://bucket/sourcedir.tar.gz", "{}/code", "file://{}/code"])
def test_the_code_directory_as_the_sdk_names_it(serve: Serve, model: Path, given: str) -> None:
    (model / "code" / "neighbour.py").write_text("NAME = 'neighbour'\n")
    client = serve(
        "import neighbour\ndef model_fn(model_dir): return lambda _: neighbour.NAME",
        SAGEMAKER_SUBMIT_DIRECTORY=given.format(model),
    )
    assert client.post("/invocations", json=0).data == b'"neighbour"\n'
    assert not (model / "code" / "__pycache__").exists()


def test_code_that_is_not_there(serve: Serve, model: Path) -> None:
    code = "def model_fn(model_dir): return str"
    message = refused(serve, code, SAGEMAKER_PROGRAM="other.py")
    assert f"{model}/code/other.py is not a file" in message
    where = {"SAGEMAKER_PROGRAM": "other.py", "SAGEMAKER_SUBMIT_DIRECTORY": "s3://b/code.tar.gz"}
    assert "nothing is downloaded" in refused(serve, code, **where)
    assert "ends with .py" in refused(serve, code, SAGEMAKER_PROGRAM="inference_of_nobody")


def test_an_installed_module_is_named_with_dots(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / "shop"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "handlers.py").write_text("def model_fn(model_dir): return lambda _: 'installed'\n")
    monkeypatch.syspath_prepend(str(package.parent))
    client = serve("raise SystemExit", SAGEMAKER_PROGRAM="shop.handlers")
    assert client.post("/invocations", json=0).data == b'"installed"\n'
