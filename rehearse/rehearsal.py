"""Run an AWS endpoint on 127.0.0.1: moto, with a data plane that is real."""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
import threading
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from rehearse import live_page
from rehearse.container_engines import ContainerEngine
from rehearse.data_plane.capture import capture
from rehearse.data_plane.endpoints import Endpoints
from rehearse.data_plane.quotas import Quotas
from rehearse.data_plane.variant import RunningVariant
from rehearse.data_types import (
    Invocation,
    InvocationMetrics,
    InvocationResponse,
    ProductionVariant,
)
from rehearse.errors import CannotStart, RehearsalEnds
from rehearse.live_page import LivePage
from rehearse.metering.bill import BILL_PATH, Bill
from rehearse.metering.prices import Prices

T = TypeVar("T")
HOST = "127.0.0.1"
# moto takes any signature. Twenty characters, as access keys have.
ACCESS_KEY = "REHEARSALREHEARSAL00"
SECRET_KEY = "rehearsal"
# Where `rehearse run` asks a running rehearsal; no path of AWS's.
ENVIRONMENT_PATH = "/rehearse/environment"


class Rehearsal:
    """One rehearsal. moto's state belongs to the process: one at a time in a process.

    An environment without calls is dropped after `idle_seconds`; `prices` is another list than
    rehearse/prices.toml; `quotas` are what calls are held to.
    """

    def __init__(
        self,
        engine: ContainerEngine,
        port: int,
        region: str,
        idle_seconds: float,
        prices: Path | None,
        quotas: Quotas,
    ) -> None:
        self._engine, self._region, self._idle_seconds = engine, region, idle_seconds
        self._quotas = quotas
        _check_region(region)
        self.bill = Bill(Prices.nearest(region, prices))
        self._socket = _listen(port)
        self.url = f"http://{HOST}:{self._socket.getsockname()[1]}"
        self.endpoints = Endpoints(self._variant, self.bill.changed, self._answered)
        self._live = LivePage(self.endpoints, self.bill.totals)
        self._certificates = self.endpoints.cleanup.new_folder() / "certificates.pem"

    @property
    def client_environment(self) -> dict[str, str]:
        """What a client exports to talk to this rehearsal instead of AWS."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": self._region,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_CA_BUNDLE": str(self._certificates),
            "REQUESTS_CA_BUNDLE": str(self._certificates),  # SageMaker SDK 2 tells AWS of its use
            "HTTPS_PROXY": self.url,
            "NO_PROXY": f"{HOST},localhost",
        }

    def start(self) -> None:
        """Serve from here on, in threads of this process."""
        from werkzeug.serving import make_server

        from rehearse import sagemaker_api
        from rehearse.data_plane.invoke_endpoint import InvokeEndpoint
        from rehearse.http_server import Application, ConnectionHandler
        from rehearse.metering import log_filter, metric_math
        from rehearse.moto_patches.cloudwatch import patch_cloudwatch
        from rehearse.moto_patches.iam import patch_iam
        from rehearse.moto_patches.logs import patch_logs
        from rehearse.moto_patches.server import patch_server
        from rehearse.proxy import CertificateAuthority

        self._s3 = self.client("s3")
        patch_server()
        patch_iam()
        patch_cloudwatch(metric_math.evaluate)
        patch_logs(log_filter.compiled)
        sagemaker_api.install(self.endpoints, self._engine, self.bill.add_transform, self._s3)
        authority = CertificateAuthority()
        authority.write(self._certificates)
        self._assume_role()
        application = Application(
            InvokeEndpoint(self.endpoints, self._region),
            self.client,
            authority,
            {
                BILL_PATH: self.bill.as_json,
                ENVIRONMENT_PATH: lambda: self.client_environment,
                live_page.PATH: self._live.html,
                live_page.STATE_PATH: self._live.state,
            },
            on_reset=self._assume_role,
        )
        self._server = make_server(
            HOST,
            0,
            application,
            threaded=True,
            request_handler=ConnectionHandler,
            fd=self._socket.fileno(),
        )
        self._thread = threading.Thread(target=self._server.serve_forever, name="server")
        self._thread.start()

    def _assume_role(self) -> None:
        from rehearse.identity import assume_role

        assume_role(ACCESS_KEY, self._region)

    def client(self, service: str) -> Any:
        """Return a boto3 client of this rehearsal; no proxy is in its way."""
        from botocore.config import Config

        return _session(self._region).client(
            service, endpoint_url=self.url, config=Config(proxies={})
        )

    def stop(self) -> None:
        """End every container and forget all records. Safe to call twice."""
        with contextlib.suppress(ModuleNotFoundError):  # start() has failed for want of it
            from moto.core.base_backend import BackendDict

            # Ends jobs; endpoints are ended below.
            BackendDict.reset()
        self.endpoints.cleanup.close()
        # Not before: a deployment that is under way asks this server for its model.
        with contextlib.suppress(AttributeError):  # was never started
            self._server.shutdown()
            self._thread.join()
        self._socket.close()
        self._engine.close()

    def _answered(
        self,
        arn: str,
        variant: ProductionVariant,
        invocation: Invocation,
        response: InvocationResponse,
    ) -> None:
        """Capture the data of a call, if its endpoint does; the call does not wait for it."""
        if variant.capture is None:
            return
        name = arn.rpartition("/")[2]
        record = _never_failing(partial(capture, self._s3, name, variant, invocation))
        with contextlib.suppress(RehearsalEnds):
            self.endpoints.cleanup.in_background(partial(record, response))

    def _variant(self, arn: str, variant: ProductionVariant) -> RunningVariant:
        """Make what runs a variant, its metrics and logs seen in this rehearsal's CloudWatch."""
        from rehearse.metering.cloudwatch import VariantMonitor

        monitor = VariantMonitor(arn, variant.name, uuid.uuid4().hex[:12])

        def log(line: str) -> None:
            monitor.log(line)
            self._live.log(arn.rpartition("/")[2], line)

        def observe(metrics: InvocationMetrics) -> None:
            monitor.observe(metrics, running.config)
            self.bill.add(arn, variant.name, running.config, metrics)

        running = RunningVariant(
            self._engine,
            variant.container,
            variant.config,
            log=_never_failing(log),
            observe=_never_failing(observe),
            idle_seconds=self._idle_seconds,
            quotas=self._quotas,
            name=variant.name,
        )
        return running


def _never_failing(record: Callable[[T], None]) -> Callable[[T], None]:
    """Answer calls, and let containers live, also where what is seen cannot be recorded."""

    def recorded(seen: T) -> None:
        try:
            record(seen)
        except Exception as error:  # whatever it is
            print(f"rehearse: not recorded: {error!r}", file=sys.stderr)

    return recorded


def _session(region: str | None) -> Any:
    import boto3

    return boto3.Session(ACCESS_KEY, SECRET_KEY, region_name=region)


def _check_region(region: str) -> None:
    session = _session(None)
    known = {
        each
        for partition in session.get_available_partitions()
        for each in session.get_available_regions("sagemaker", partition)
    }
    if region not in known:
        raise CannotStart(f"there is no region {region!r} with SageMaker; try --region us-east-1")


def _listen(port: int) -> socket.socket:
    """Bind the port here, for werkzeug would print and exit where it is taken."""
    try:
        return socket.create_server((HOST, port), backlog=512)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotStart(
                f"port {port} is taken; stop what listens there or choose another with --port"
            ) from error
        raise CannotStart(f"cannot listen on port {port}: {error.strerror}") from error
