"""Run the server until SIGTERM: what `docker run IMAGE serve` starts."""

from __future__ import annotations

import gc
import sys

from platform_facts import PORT
from serve import lazy_imports


def main() -> None:
    """Serve; exit with status 2 and one line when a setting or an argument cannot be used."""
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
    """Print the version or the help and exit; there are no other arguments."""
    import argparse
    from importlib.metadata import version

    from model_handler.extras import PROJECT

    parser = argparse.ArgumentParser(
        prog="serve",
        description=f"Serve the model in MODEL_DIR on SAGEMAKER_BIND_TO_PORT ({PORT}). "
        "All settings are environment variables; docs/settings.md lists them.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {version(PROJECT)}")
    parser.parse_args()


if __name__ == "__main__":
    main()
