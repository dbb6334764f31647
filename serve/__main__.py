"""What `docker run IMAGE serve` runs: settings in, a gunicorn that serves until SIGTERM out."""

from __future__ import annotations

import gc
import sys

from serve import lazy_imports


def main() -> None:
    """The console script `serve`; exits with 2 and one line when a setting cannot be used."""
    # A start makes objects that stay. serve/server.py turns the collector on again.
    gc.disable()
    lazy_imports.install()
    if sys.argv[1:]:
        _parse_arguments()
    # Not before install(): these bring everything else.
    from serve.settings import Settings, SettingsError

    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        print(f"serve: {error}", file=sys.stderr)
        sys.exit(2)
    lazy_imports.import_or_retry("serve.server")
    from serve.server import Server

    Server(settings).run()


def _parse_arguments() -> None:
    """Explain that there are none, or refuse them."""
    import argparse

    argparse.ArgumentParser(
        prog="serve",
        description="Serve the model in MODEL_DIR on SAGEMAKER_BIND_TO_PORT (8080). "
        "All settings are environment variables; the README lists them.",
    ).parse_args()


if __name__ == "__main__":
    main()
