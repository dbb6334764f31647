"""What `docker run IMAGE serve` runs: settings in, a gunicorn that serves until SIGTERM out."""

from __future__ import annotations

import argparse
import logging
import sys
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication

from serve.settings import Settings, SettingsError

if TYPE_CHECKING:
    from flask import Flask


def main() -> None:
    """The console script `serve`; exits with 2 and one line when a setting cannot be used."""
    argparse.ArgumentParser(
        prog="serve",
        description="Serve the model in MODEL_DIR on SAGEMAKER_BIND_TO_PORT (8080). "
        "All settings are environment variables; the README lists them.",
    ).parse_args()
    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        print(f"serve: {error}", file=sys.stderr)
        sys.exit(2)
    Server(settings).run()


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no type hints
    """gunicorn, set up for one container with one model."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        """Settings of gunicorn: https://docs.gunicorn.org/en/stable/settings.html"""
        for name, value in self.options().items():
            self.cfg.set(name, value)

    def options(self) -> dict[str, Any]:
        """One process holds the model; threads keep /ping answered while it computes."""
        return {
            "bind": f"0.0.0.0:{self._settings.port}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": 16,
            # The only place that is writable everywhere; /dev/shm is missing on serverless.
            "worker_tmp_dir": "/tmp",
            # On by default since 25.1, in a home directory that may not exist.
            "control_socket_disable": True,
            # The platform waits 60 seconds for an answer, so a worker must live longer.
            "timeout": 75,
            # SIGKILL comes 30 seconds after SIGTERM.
            "graceful_timeout": 25,
            "keepalive": 75,
            "loglevel": self._settings.log_level,
        }

    def load(self) -> Flask:
        """The application; gunicorn calls this in the worker, once it has been forked."""
        from serve.app import create_app

        logging.basicConfig(
            level=self._settings.log_level.upper(), format="%(levelname)s %(name)s: %(message)s"
        )
        return create_app(self._settings)


if __name__ == "__main__":
    main()
