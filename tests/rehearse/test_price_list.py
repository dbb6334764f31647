"""`rehearse prices --refresh` reads the AWS Price List, which a stub stands for here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rehearse.metering.prices import PRICES, Prices


def product(usagetype: str, *usd: str) -> str:
    """Return an item of the Price List, with a price for each tier."""
    dimensions = {f"{number}": {"pricePerUnit": {"USD": each}} for number, each in enumerate(usd)}
    return json.dumps(
        {
            "product": {"attributes": {"usagetype": usagetype, "regionCode": "eu-central-1"}},
            "terms": {"OnDemand": {"term": {"priceDimensions": dimensions}}},
        }
    )


# Two pages. The first tier of what is on demand is free.
PAGES = [
    [
        product("EUC1-ServerlessInf:Mem-2GB", "0.0000000000", "0.0000460000"),
        product("EUC1-ServerlessInf:Mem-1GB", "0.0000000000", "0.0000230000"),
        product("EUC1-ProvisionedConcurrency:Mem-1GB", "0.0000060000"),
        product("EUC1-ProvisionedConcurrency:Usage-1GB", "0.0000120000"),
    ],
    [
        product("EUC1-Hst:Data-Bytes-Out", "0.0160000000"),
        product("EUC1-Host:ml.c5.large", "0.1170000000"),
        product("EUC1-Tsform:ml.c5.large", "0.1180000000"),
        product("EUC1-Train:ml.c5.large", "9.0000000000"),
    ],
]


@pytest.fixture
def pages() -> list[list[str]]:
    return [list(page) for page in PAGES]


@pytest.fixture
def stub(pages: list[list[str]]) -> Iterator[str]:
    """Serve the pages as the Price List does, to those who ask for SageMaker's."""

    class PriceList(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert asked["ServiceCode"] == "AmazonSageMaker"
            (region,) = [each["Value"] for each in asked["Filters"]]
            page = int(asked.get("NextToken", 0))
            found: dict[str, Any] = {"FormatVersion": "aws_v1", "PriceList": []}
            if region == "eu-central-1":
                found["PriceList"] = pages[page]
                found |= {"NextToken": str(page + 1)} if page + 1 < len(pages) else {}
            body = json.dumps(found).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), PriceList) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def refresh(url: str, region: str = "eu-central-1", **more: str) -> tuple[int, str, str]:
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_MAX_ATTEMPTS": "1"}
    found = subprocess.run(
        [sys.executable, "-m", "rehearse", "prices", "--refresh", "--region", region],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **keys, "AWS_ENDPOINT_URL_PRICING": url, **more},
    )
    return found.returncode, found.stdout, found.stderr


def test_a_table_is_made_that_bills_can_be_made_with(stub: str, tmp_path: Path) -> None:
    code, out, err = refresh(stub)
    assert (code, err) == (0, "")
    path = tmp_path / "prices.toml"
    path.write_text(out)
    prices = Prices.read("eu-central-1", path)
    assert prices == Prices(
        region="eu-central-1",
        dated=str(date.today()),
        on_demand_gb_second=0.000023,
        provisioned_gb_second=0.000012,
        reserved_gb_second=0.000006,
        data_gb=0.016,
        instance_hour={"ml.c5.large": 0.117},
        transform_hour={"ml.c5.large": 0.118},
    )


def test_a_region_without_serverless_inference_is_one_line(stub: str) -> None:
    code, out, err = refresh(stub, "eu-north-7")
    assert (code, out) == (2, "")
    assert err.startswith("rehearse: the AWS Price List has no on_demand_gb_second, ")
    assert err.endswith("of eu-north-7\n")


def test_a_price_list_that_cannot_be_read_is_one_line(pages: list[list[str]], stub: str) -> None:
    pages[1].append("no JSON")
    for code, out, err in (
        refresh(stub),
        refresh("http://127.0.0.1:9"),
        refresh(stub, AWS_PROFILE="no-such-profile"),
    ):
        assert (code, out) == (2, "")
        assert err.startswith("rehearse: the AWS Price List cannot be read: ")
        assert len(err.splitlines()) == 1


def test_the_table_in_use_is_shown() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "rehearse", "prices"], capture_output=True, text=True, check=True
    )
    assert found.stdout == PRICES.read_text()
