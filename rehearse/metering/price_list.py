"""Read the prices of a region from the AWS Price List, in the form of prices.toml.

https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html. The
usage types of SageMaker are those that cost estimators match, for AWS lists them nowhere:
https://github.com/infracost/infracost/pull/3567
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from rehearse.errors import PricesError, one_line

SERVICE = "AmazonSageMaker"
# The Price List is asked in this region, whatever region the prices are of.
ASKED_IN = "us-east-1"
# What a usage type is the price of, after the prefix of its region, such as EUC1-. Those with a
# memory size in GB are by the second.
BY_MEMORY = {
    "on_demand_gb_second": re.compile(r"(?:.+-)?ServerlessInf:Mem-(\d+)GB"),
    "reserved_gb_second": re.compile(r"(?:.+-)?ProvisionedConcurrency:Mem-(\d+)GB"),
    "provisioned_gb_second": re.compile(r"(?:.+-)?ProvisionedConcurrency:Usage-(\d+)GB"),
}
DATA = re.compile(r"(?:.+-)?Hst:Data-Bytes-(?:In|Out)")
BY_INSTANCE = {
    "instance_hour": re.compile(r"(?:.+-)?Host:(ml\..+)"),
    "transform_hour": re.compile(r"(?:.+-)?Tsform:(ml\..+)"),
}


def fetch(region: str) -> dict[str, Any]:
    """Return what prices.toml holds of a region, asked with the credentials of the user.

    Raises PricesError.
    """
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        pages = (
            boto3.client("pricing", region_name=ASKED_IN)
            .get_paginator("get_products")
            .paginate(
                ServiceCode=SERVICE,
                Filters=[{"Type": "TERM_MATCH", "Field": "regionCode", "Value": region}],
            )
        )
        products = [json.loads(item) for page in pages for item in page["PriceList"]]
    except (BotoCoreError, ClientError, ValueError) as error:
        raise PricesError(f"the AWS Price List cannot be read: {one_line(error)}") from error
    prices = _prices(products)
    if missing := [name for name in (*BY_MEMORY, "data_gb") if name not in prices]:
        raise PricesError(f"the AWS Price List has no {', '.join(missing)} of {region}")
    return {"dated": date.today(), region: prices}


def _prices(products: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the prices by their names in prices.toml."""
    found: dict[str, Any] = {name: {} for name in BY_INSTANCE}
    sizes: dict[str, int] = {}
    for product in products:
        usage = str(product["product"]["attributes"].get("usagetype", ""))
        usd = max(_usd(product), default=0.0)
        if not usd:
            continue
        for name, pattern in BY_MEMORY.items():
            # They are linear; that of the smallest memory size is taken.
            if (match := pattern.fullmatch(usage)) and int(match[1]) <= sizes.get(name, 1000):
                sizes[name] = int(match[1])
                found[name] = usd / sizes[name]
        for name, pattern in BY_INSTANCE.items():
            if match := pattern.fullmatch(usage):
                found[name][match[1]] = usd
        if DATA.fullmatch(usage):
            found["data_gb"] = max(usd, found.get("data_gb", 0.0))
    return found


def _usd(product: Mapping[str, Any]) -> Iterator[float]:
    """Yield the prices of a product on demand; the one of a free tier is 0."""
    for term in product["terms"].get("OnDemand", {}).values():
        for dimension in term["priceDimensions"].values():
            yield float(dimension["pricePerUnit"].get("USD", 0))
