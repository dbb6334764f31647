"""Names of modules that serving does not need in; modules that are imported on first use out.

Half of a cold start is imports, and a third of those are never used by a server of one model:
TLS, templates, command lines, test clients. After `begin` an import of one gives a stand-in, and
a name taken out of a stand-in is a door; the first use of either imports the real module. So
nothing is taken away: what is used after all works, only later.

`python -m serve` begins this. Whoever imports `serve` as a library gets the real modules.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

log = logging.getLogger(__name__)


class Door:
    """A thing that is made or imported when it is called, tested, indexed or looked into."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def _real(self) -> Any:
        if "_made" not in self.__dict__:
            self._made = self._make()
        return self._made

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the real thing."""
        return self._real()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real(), name)

    def __getitem__(self, key: Any) -> Any:
        return self._real()[key]

    def __instancecheck__(self, thing: object) -> bool:
        return isinstance(thing, self._real())

    def __subclasscheck__(self, kind: type) -> bool:
        return issubclass(kind, self._real())

    def __mro_entries__(self, _: tuple[Any, ...]) -> tuple[Any, ...]:
        """What stands in the place of a door among the bases of a class."""
        return (self._real(),)


class NoTLS(OSError):
    """Stands in `except` clauses for ssl.SSLError, which nothing raises before ssl is imported."""


def _app_group(*args: Any, **kwargs: Any) -> Any:
    """Flask makes one for each application, for commands that are typed."""
    return Door(lambda: opened("flask.cli").AppGroup(*args, **kwargs))


# What is put off: modules that cost 1.5 ms or more and that no request needs. Beside each, the
# names that are taken out of it at import (`from module import name`), which is not yet a use.
# None of them may stand in an `except` clause, where a door is no exception.
DEFERRED = {
    "argparse": "",
    "attr.validators": "",
    "calendar": "",
    "click": "",
    "ctypes": "",
    "decimal": "",
    "difflib": "",
    "email.charset": "Charset",
    "flask.cli": "",
    "flask.templating": "DispatchingJinjaLoader Environment _default_template_ctx_processor "
    "render_template render_template_string stream_template stream_template_string",
    "html": "",
    "importlib.metadata": "",
    "jinja2": "BaseLoader FileSystemLoader",
    "logging.config": "dictConfig fileConfig",
    "numpy._core._add_newdocs": "",  # docstrings
    "numpy._core._add_newdocs_scalars": "",
    "numpy._typing": "",
    "pickle": "",
    "pkgutil": "",
    "shutil": "",
    "ssl": "",
    "tokenizers.implementations": "BertWordPieceTokenizer ByteLevelBPETokenizer CharBPETokenizer "
    "SentencePieceBPETokenizer SentencePieceUnigramTokenizer",
    "uuid": "UUID",
    "werkzeug.formparser": "FormDataParser default_stream_factory",
    "werkzeug.serving": "is_running_from_reloader run_simple",
    "werkzeug.test": "Client",
}
# Names that are used at import, and what serves as well until the module is imported.
PLAIN: dict[str, dict[str, Any]] = {
    "flask.cli": {"AppGroup": _app_group},
    "numpy._typing": {"NDArray": list},  # annotations of named tuples
    # Defaults in gunicorn.config, with the values they have in ssl.
    "ssl": {"CERT_NONE": 0, "PROTOCOL_SSLv23": 2, "PROTOCOL_TLS": 2, "SSLError": NoTLS},
}

_closed: set[str] = set()  # modules that are still put off
_lock = threading.Lock()


def begin(names: Sequence[str] = tuple(DEFERRED)) -> None:
    """Put off the import of these modules from now on, unless they are there already."""
    _closed.update(name for name in names if name not in sys.modules)
    sys.meta_path.insert(0, _Finder())


def bring(name: str) -> ModuleType:
    """Import a module; if that fails while others are put off, put off none and try again."""
    try:
        return import_module(name)
    except Exception:
        if not _closed:
            raise
        log.warning("an import failed while others were put off; now none is", exc_info=True)
        end()
        return import_module(name)


def end() -> None:
    """Put off nothing any more: what others have written gets the real modules."""
    for deferred in tuple(_closed):
        _reopen(deferred)


def opened(name: str) -> ModuleType:
    """The real module. Threads may race for it: the import system lets one of them import."""
    _reopen(name)
    return import_module(name)


def _reopen(name: str) -> None:
    """From here on an import gives the real module."""
    with _lock:  # or a second thread would throw away what a first one has imported
        if name in _closed:
            _closed.remove(name)
            sys.modules.pop(name, None)


class _StandIn(ModuleType):
    """A module whose names are doors, until it is used."""

    def __getattr__(self, name: str) -> Any:
        module = self.__name__
        if name in ("__path__", "__file__", "__cached__"):  # asked for by the import system
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        if module in _closed and name in PLAIN.get(module, ()):
            return PLAIN[module][name]
        if module in _closed and name in DEFERRED.get(module, "").split():
            return Door(lambda: getattr(opened(module), name))
        real = opened(module)
        if name == "__all__":  # `from module import *`
            return getattr(real, name, [each for each in vars(real) if not each.startswith("_")])
        return getattr(real, name)


class _Finder:
    """First of the finders: gives stand-ins. https://docs.python.org/3/reference/import.html"""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, _: ModuleType | None = None
    ) -> ModuleSpec | None:
        package = name.rpartition(".")[0]
        if package in _closed:  # whoever imports a submodule uses the package
            opened(package)
        spec = PathFinder.find_spec(name, path) if name in _closed else None
        if spec is not None:
            spec.loader = self  # type: ignore[assignment]  # importlib.abc.Loader costs 1 ms
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run: that is the point."""
