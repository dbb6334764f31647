"""Test that a server starts without modules that it does not need, and misses none later."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

from serve import lazy_imports
from tests.conftest import BLOG, BUNDLED, ROOT, lines
from tests.contract import targets

# The server's path of imports, as `python -m serve` takes it.
PATH = """
import sys
there = set(sys.modules)  # what measures coverage brings modules of its own
from serve import lazy_imports
lazy_imports.install()
lazy_imports.import_or_retry("serve.server")
lazy_imports.import_or_retry("gunicorn.workers.gthread")
lazy_imports.import_or_retry("serve.app")
"""
SERVING = "app = sys.modules['serve.app'].create_app()\n"


def run(code: str) -> str:
    """Return what a fresh interpreter prints."""
    environment = {**os.environ, "MODEL_DIR": str(BUNDLED), "LOG_LEVEL": "warning"}
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", PATH + code],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_a_server_that_has_answered_has_none_of_the_code_that_it_does_not_need() -> None:
    # Submodules, which only the real packages import; a package itself may be a stand-in.
    code = """
names = '''_ssl _hashlib _bz2 _lzma _decimal _ctypes asyncio click.core flask.testing http.server
importlib.metadata._meta jinja2.environment logging.handlers numpy._typing._array_like numpy.linalg
numpy.matrixlib.defmatrix
onnx opentelemetry pydantic requests tokenizers.implementations.base_tokenizer torch transformers
werkzeug.sansio.multipart'''.split()
def call(path, method, body=b""):
    import io
    answers = []
    list(app({
        "REQUEST_METHOD": method, "PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": "",
        "SERVER_NAME": "x", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(body)), "wsgi.version": (1, 0), "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body), "wsgi.errors": sys.stderr,
    }, lambda status, headers: answers.append(status[:3])))
    return answers[0]
print(call("/ping", "GET"), call("/invocations", "POST", b'{"text": "fine"}'))
print([name for name in names if name in sys.modules and name not in there])
"""
    assert run(SERVING + code) == "200 200\n[]\n"


def test_what_is_used_after_all_is_there() -> None:
    code = """
import ssl, uuid, flask, werkzeug.test
from ctypes import *
assert app.test_client().get("/ping").status_code == 200
assert app.test_cli_runner().invoke(args=["--help"]).exit_code == 0
with app.app_context():
    assert flask.render_template_string("{{ 1 + 1 }}") == "2"
with app.test_request_context(method="POST", data={"a": "b"}):
    assert flask.request.form["a"] == "b"
assert issubclass(flask.testing.FlaskClient, werkzeug.test.Client)
assert isinstance(uuid.uuid4(), uuid.UUID)
import hashlib, hmac, secrets, shutil, tempfile
assert hashlib.sha256(b"").hexdigest().startswith("e3b0")
assert secrets.compare_digest("a", "a") and hmac.digest(b"k", b"m", "sha1")
with tempfile.TemporaryDirectory() as folder:
    assert shutil.disk_usage(folder).total > 0
assert issubclass(ssl.SSLError, OSError) and ssl.CERT_NONE is sys.modules["ssl"].CERT_NONE
assert sizeof(c_void_p) in (4, 8)
import numpy.typing, numpy.ma, pickle, platform, textwrap, tokenize
assert platform.python_implementation() and textwrap.dedent(" a") == "a"
assert numpy.percentile([1, 2, 3], 50) == 2 and numpy.r_[1:3].tolist() == [1, 2]
assert not isinstance(1, numpy.matrix) and {"pad", "r_"} <= {*numpy.__all__}
assert numpy.linalg.norm(numpy.pad([3, 4], 1)) == 5
assert pickle.loads(pickle.dumps(numpy.arange(3))).tolist() == [0, 1, 2]
print("all there")
"""
    assert run(SERVING + code) == "all there\n"


def test_a_library_user_of_the_application_gets_the_real_modules() -> None:
    code = "import sys, serve.app; print(type(sys.modules['jinja2']).__name__)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "module\n"


@pytest.fixture(scope="module")
def server() -> Iterator[targets.OverHttp]:
    with targets.gunicorn({"MODEL_DIR": str(BUNDLED), "MAX_PAYLOAD_MB": "1"}) as (found, process):
        found.wait(process)
        yield found


@pytest.mark.parametrize(
    ("method", "path", "body", "kind", "status"),
    [
        ("GET", "/ping", b"", "", 200),
        ("POST", "/invocations", BLOG, "application/jsonlines", 200),
        ("POST", "/invocations", b"a=b", "application/x-www-form-urlencoded", 415),
        ("POST", "/invocations", b"--x--", "multipart/form-data; boundary=x", 415),
        ("POST", "/invocations", b"{", "application/json", 400),
        ("GET", "/nowhere", b"", "", 404),
        ("GET", "/invocations", b"", "", 405),
        ("POST", "/invocations", b"x" * 1_100_000, "", 413),
        ("A#B", "/ping", b"", "", 400),  # gunicorn's own answer
    ],
)
def test_every_kind_of_request_is_answered(
    server: targets.OverHttp, method: str, path: str, body: bytes, kind: str, status: int
) -> None:
    headers = {"Content-Type": kind} if kind else {}
    assert server.request(method, path, body, headers).status == status
    assert len(lines(server.request("POST", "/invocations", BLOG).body)) == 3


def test_a_plain_checkpoint_is_served_too(checkpoint: Path) -> None:
    with targets.gunicorn({"MODEL_DIR": str(checkpoint)}) as (found, process):
        found.wait(process)
        assert len(lines(found.request("POST", "/invocations", BLOG).body)) == 3


def serve(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "serve", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_help_and_version_are_given_and_another_argument_is_an_error() -> None:
    assert (found := serve("--help")).returncode == 0
    assert found.stdout.startswith("usage: serve")
    assert (found := serve("--version")).returncode == 0
    assert found.stdout == f"serve {version('sagemaker-serverless-sentiment')}\n"
    assert (found := serve("--port")).returncode == 2
    assert "unrecognized arguments: --port" in found.stderr


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Put off a package `bulky` with two users: one plain, one that needs the real `kind`."""
    folder = tmp_path / "bulky"
    folder.mkdir()
    (folder / "__init__.py").write_text("import time; time.sleep(0.05)\nname = {}\nkind = int\n")
    (folder / "part.py").write_text("value = 1\n")
    (tmp_path / "user.py").write_text("import bulky\n")
    (tmp_path / "taker.py").write_text("from bulky import kind\nunion = kind | None\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setitem(lazy_imports.DEFERRED, "bulky", "kind")
    lazy_imports.install(["bulky"])
    yield "bulky"
    lazy_imports.real_module("bulky")
    for name in ("bulky", "bulky.part", "user", "taker"):
        sys.modules.pop(name, None)


def test_threads_that_race_for_a_module_get_the_same_one(package: str) -> None:
    stand_in = import_module(package)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(stand_in.name)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all(each is sys.modules[package].name for each in found)
    assert sys.modules[package] is not stand_in


def test_a_submodule_opens_its_package(package: str) -> None:
    import_module(package)
    assert import_module(f"{package}.part").value == 1
    assert sys.modules[package].part.value == 1


@pytest.mark.usefixtures("package")
def test_an_import_that_fails_because_of_a_lazy_object_is_repeated_without(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert lazy_imports.import_or_retry("user").bulky
    assert "bulky" in lazy_imports._deferred
    assert lazy_imports.import_or_retry("taker").union == int | None
    assert "put off" in caplog.text
    assert not lazy_imports._deferred


def test_an_import_that_fails_anyway_fails(package: str) -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        lazy_imports.import_or_retry("no_such_module")
    assert import_module(package).name == {}


def test_a_lazy_object_acts_as_the_real_one_which_is_made_once_and_not_before() -> None:
    made: list[str] = []

    def make() -> type[list[int]]:
        made.append("now")
        return list

    lazy = lazy_imports.LazyObject(make)
    assert made == []
    assert lazy((1, 2)) == [1, 2]
    assert lazy[int] == list[int]
    assert lazy.append is list.append
    assert isinstance([], lazy)  # type: ignore[arg-type]  # it stands in for a class
    assert not isinstance((), lazy)  # type: ignore[arg-type]  # the same
    assert issubclass(list, lazy)  # type: ignore[arg-type]  # the same
    assert made == ["now"]


def test_a_module_that_is_not_there_is_missed_as_ever() -> None:
    with pytest.raises(ModuleNotFoundError, match="nothing_of_this_name"):
        lazy_imports.import_or_retry("serve.nothing_of_this_name")
