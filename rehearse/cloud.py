"""Options in, a running AWS endpoint on 127.0.0.1 out: moto with a data plane that is real."""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rehearse.data_plane.fleet import Fleet
from rehearse.data_plane.hosting import Hosting
from rehearse.data_plane.limits import IDLE_SECONDS
from rehearse.engines import Engine
from rehearse.errors import CloudError
from rehearse.metering.bill import Bill
from rehearse.model import Observation, Variant

__all__ = ["Cloud", "CloudError", "Options"]

T = TypeVar("T")
HOST = "127.0.0.1"
# moto knows no secrets: any signature is taken. Twenty characters, as access keys have.
KEY = "REHEARSALREHEARSAL00"


@dataclass(frozen=True)
class Options:
    """How a rehearsal runs."""

    port: int = 4566
    region: str = "us-east-1"
    # Until an environment without calls is dropped.
    idle_seconds: float = IDLE_SECONDS
    # Another list of prices than rehearse/prices.toml.
    prices: Path | None = None


class Cloud:
    """One rehearsal. moto's state belongs to the process: one Cloud in a process at a time."""

    def __init__(self, options: Options, engine: Engine) -> None:
        self._options = options
        self._engine = engine
        _check_region(options.region)
        self.bill = Bill(options.region, options.prices)
        self._socket = _listen(options.port)
        self.url = f"http://{HOST}:{self._socket.getsockname()[1]}"
        self.hosting = Hosting(self._fleet, self.bill.changed)

    @property
    def environment(self) -> dict[str, str]:
        """What a client exports to talk to this rehearsal instead of AWS."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": self._options.region,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": "rehearsal",
        }

    def start(self) -> None:
        """Serve from here on, in threads of this process."""
        from werkzeug.serving import make_server

        from rehearse import actions
        from rehearse.data_plane.runtime import Runtime
        from rehearse.front import Front, Handler
        from rehearse.metering import watch

        actions.install(self.hosting, self._engine, watch.transform_logger, self.client("s3"))
        watch.install()
        front = Front(Runtime(self.hosting, self._options.region), self.client, self.bill.rows)
        self._server = make_server(
            HOST, 0, front, threaded=True, request_handler=Handler, fd=self._socket.fileno()
        )
        self._thread = threading.Thread(target=self._server.serve_forever, name="cloud")
        self._thread.start()

    def client(self, service: str) -> Any:
        """A boto3 client of this rehearsal; no proxy is in its way."""
        from botocore.config import Config

        return _session(self._options.region).client(
            service, endpoint_url=self.url, config=Config(proxies={})
        )

    def stop(self) -> None:
        """End every container and forget all records. Safe to call twice."""
        from moto.core.base_backend import BackendDict

        # Ends jobs; endpoints are ended with the hosting.
        BackendDict.reset()
        self.hosting.lifetime.close()
        # Not before: a deployment that is under way asks this server for its model.
        with contextlib.suppress(AttributeError):  # was never started
            self._server.shutdown()
            self._thread.join()
        self._socket.close()
        self._engine.close()

    def _fleet(self, arn: str, variant: Variant) -> Fleet:
        """A fleet whose metrics and logs are seen in this rehearsal's CloudWatch."""
        from rehearse.metering.watch import Watch

        watch = Watch(arn, variant.name, uuid.uuid4().hex[:12])

        def observe(seen: Observation) -> None:
            watch.observe(seen, fleet.spec)
            self.bill.add(arn, variant.name, fleet.spec, seen)

        fleet = Fleet(
            self._engine,
            variant.container,
            variant.spec,
            log=_quietly(watch.log),
            observe=_quietly(observe),
            idle_seconds=self._options.idle_seconds,
            variant=variant.name,
        )
        return fleet


def _quietly(record: Callable[[T], None]) -> Callable[[T], None]:
    """Calls are answered, and containers live, also where what is seen cannot be recorded."""

    def recorded(seen: T) -> None:
        try:
            record(seen)
        except Exception as error:  # whatever it is
            print(f"rehearse: not recorded: {error!r}", file=sys.stderr)

    return recorded


def _session(region: str) -> Any:
    import boto3

    return boto3.Session(KEY, "rehearsal", region_name=region)


def _check_region(region: str) -> None:
    session = _session(Options.region)
    known = {
        each
        for partition in session.get_available_partitions()
        for each in session.get_available_regions("sagemaker", partition)
    }
    if region not in known:
        raise CloudError(f"there is no region {region!r} with SageMaker; try --region us-east-1")


def _listen(port: int) -> socket.socket:
    """Bind here, for werkzeug would print and exit where a port is taken."""
    try:
        return socket.create_server((HOST, port), backlog=512)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CloudError(
                f"port {port} is taken; stop what listens there or choose another with --port"
            ) from error
        raise CloudError(f"cannot listen on port {port}: {error.strerror}") from error
