"""Change how moto answers HTTP requests of every service."""

from __future__ import annotations

from rehearse.moto_patches.names import replace


def patch_server() -> None:
    """Do not let pages of other origins read the answers of a rehearsal."""
    replace("moto.moto_server.werkzeug_app.DISABLE_GLOBAL_CORS", True)
