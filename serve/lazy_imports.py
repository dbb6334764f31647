"""Put off imports that serving does not need until they are used, which makes a start faster.

Half of a cold start is imports, and a third of those are never used by a server of one model:
TLS, templates, command lines, test clients. After `install`, importing one of these modules gives
a LazyModule, and a name taken out of it is a LazyObject; the first use of either imports the real
module. So nothing is missing: what is used after all is imported then.

`python -m serve` calls `install`. A program that imports `serve` as a library gets the real
modules.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

log = logging.getLogger(__name__)


class LazyObject:
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
        """Return the real class where a lazy one is named among the bases of a class."""
        return (self._real(),)


class NoTLS(OSError):
    """Stands in `except` clauses for ssl.SSLError, which nothing raises before ssl is imported."""


def _app_group(*args: Any, **kwargs: Any) -> Any:
    """Put off what Flask makes for each application, for commands that are typed."""
    return LazyObject(lambda: real_module("flask.cli").AppGroup(*args, **kwargs))


# Functions of numpy that are written in Python: onnxruntime uses none of them. All names that numpy
# takes out of these are put off, and `__all__` is those that it has taken.
_NUMPY = """
arraypad arraysetops arrayterator function_base histograms index_tricks nanfunctions npyio
polynomial scimath shape_base stride_tricks twodim_base type_check ufunclike utils
"""
ANY_NAME = {"numpy.matrixlib", *(f"numpy.lib._{name}_impl" for name in _NUMPY.split())}
# What is put off: modules that cost 1.5 ms or more and that no request needs. Beside each, the
# names that are taken out of it at import (`from module import name`), which is not yet a use.
# None of them may stand in an `except` clause, where a LazyObject is no exception.
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
    "hashlib": "sha1",  # and hmac: OpenSSL's library, of 5 MB
    "hmac": "compare_digest",
    "html": "",
    "importlib.metadata": "",
    "ipaddress": "",
    "jinja2": "BaseLoader FileSystemLoader",
    "logging.config": "dictConfig fileConfig",
    "numpy._core._add_newdocs": "",  # docstrings
    "numpy._core._add_newdocs_scalars": "",
    "numpy._typing": "",
    "pickle": "",
    "pkgutil": "",
    "platform": "",
    "shutil": "rmtree",  # and bz2 and lzma, with a library each
    "ssl": "",
    "tokenizers.implementations": "BertWordPieceTokenizer ByteLevelBPETokenizer CharBPETokenizer "
    "SentencePieceBPETokenizer SentencePieceUnigramTokenizer",
    "uuid": "UUID",
    "werkzeug.formparser": "FormDataParser default_stream_factory",
    "werkzeug.serving": "is_running_from_reloader run_simple",
    "tokenize": "",
    "werkzeug.test": "Client",
    **dict.fromkeys(ANY_NAME, ""),
}
# Names that are used at import, and what serves as well until the module is imported.
PLAIN: dict[str, dict[str, Any]] = {
    "flask.cli": {"AppGroup": _app_group},
    "numpy._typing": {"NDArray": list},  # annotations of named tuples
    "platform": {"system": lambda: os.uname().sysname, "python_implementation": lambda: "CPython"},
    # Defaults in gunicorn.config, with the values they have in ssl.
    "ssl": {"CERT_NONE": 0, "PROTOCOL_SSLv23": 2, "PROTOCOL_TLS": 2, "SSLError": NoTLS},
}

_deferred: set[str] = set()  # modules that are still put off
_lock = threading.Lock()


def install(names: Sequence[str] = tuple(DEFERRED)) -> None:
    """Put off the import of these modules from now on, unless they are imported already."""
    _deferred.update(name for name in names if name not in sys.modules)
    sys.meta_path.insert(0, _Finder())


def uninstall() -> None:
    """Put off nothing any more, so that code of others gets the real modules."""
    for name in tuple(_deferred):
        _stop_deferring(name)


def import_or_retry(name: str) -> ModuleType:
    """Import a module; if that fails while others are put off, import it again with none put off.

    A new release of a package may use at import what an older one did not.
    """
    try:
        return import_module(name)
    except Exception:
        if not _deferred:
            raise
        log.warning("an import failed while others were put off; now none is", exc_info=True)
        uninstall()
        return import_module(name)


def real_module(name: str) -> ModuleType:
    """Import what was put off. Threads may race: the import system lets one of them import."""
    _stop_deferring(name)
    return import_module(name)


def _stop_deferring(name: str) -> None:
    """Let the next import of this module give the real one."""
    with _lock:  # or a second thread would throw away what a first one has imported
        if name in _deferred:
            _deferred.remove(name)
            sys.modules.pop(name, None)


class LazyModule(ModuleType):
    """A module that is not imported yet, and whose names are LazyObjects until it is used."""

    def __getattr__(self, name: str) -> Any:
        module = self.__name__
        if name in ("__path__", "__file__", "__cached__"):  # asked for by the import system
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        if module in _deferred and name in PLAIN.get(module, ()):
            return PLAIN[module][name]
        if module in _deferred and self._is_put_off(name):
            taken = self.__dict__.setdefault("_taken", [])
            if name == "__all__":
                return taken
            taken.append(name)
            return LazyObject(lambda: getattr(real_module(module), name))
        real = real_module(module)
        if name == "__all__":  # `from module import *`
            return getattr(real, name, [each for each in vars(real) if not each.startswith("_")])
        return getattr(real, name)

    def _is_put_off(self, name: str) -> bool:
        if self.__name__ in ANY_NAME:
            return name == "__all__" or not name.startswith("__")
        return name in DEFERRED.get(self.__name__, "").split()


class _Finder:
    """Finder of lazy modules, which comes before the real ones.

    https://docs.python.org/3/reference/import.html
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, _: ModuleType | None = None
    ) -> ModuleSpec | None:
        package = name.rpartition(".")[0]
        if package in _deferred:  # whoever imports a submodule uses the package
            real_module(package)
        spec = PathFinder.find_spec(name, path) if name in _deferred else None
        if spec is not None:
            spec.loader = self  # type: ignore[assignment]  # importlib.abc.Loader costs 1 ms
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return LazyModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Run nothing, which is what this is for."""
