"""Read the list prices of a region from prices.toml, or from another file of its form."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rehearse.errors import PricesError, UnknownRegion

PRICES = Path(__file__).parents[1] / "prices.toml"
# The prices of this region stand for regions of which none are known.
REFERENCE_REGION = "us-east-1"
MB_PER_GB = 1024
BYTES_PER_GB = 1024**3


@dataclass(frozen=True)
class Prices:
    """USD, of one region at one date."""

    region: str
    dated: str
    on_demand_gb_second: float
    provisioned_gb_second: float
    reserved_gb_second: float
    data_gb: float
    instance_hour: Mapping[str, float] = field(default_factory=dict)
    # Of Batch Transform; where it is not known, that of hosting stands for it.
    transform_hour: Mapping[str, float] = field(default_factory=dict)

    def inference(self, memory_mb: int, milliseconds: int, provisioned: bool = False) -> float:
        """Return what so many billed milliseconds cost, on demand or of provisioned concurrency."""
        price = self.provisioned_gb_second if provisioned else self.on_demand_gb_second
        return milliseconds / 1e3 * memory_mb / MB_PER_GB * price

    def data(self, data_bytes: int) -> float:
        """Return what so many bytes, in and out, cost."""
        return data_bytes / BYTES_PER_GB * self.data_gb

    @classmethod
    def read(cls, region: str, path: Path = PRICES) -> Prices:
        """Return the prices of a region; raise PricesError."""
        try:
            found: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
            dated = str(found.pop("dated"))
            if region not in found:
                raise UnknownRegion(
                    f"{path} has no {region}; it knows {', '.join(found) or 'none'}"
                )
            prices = cls(region=region, dated=dated, **found[region])
            # A TypeError where one of them is no number.
            hours = [found[region].pop(name, {}) for name in ("instance_hour", "transform_hour")]
            sum([*hours[0].values(), *hours[1].values(), *found[region].values()])
            return prices
        except (OSError, ValueError) as error:
            raise PricesError(f"{path} cannot be read: {error}") from error
        except KeyError as error:
            raise PricesError(f"{path} has no {error}") from error
        except TypeError as error:
            raise PricesError(f"{path} has not the prices it must have: {error}") from error

    @classmethod
    def nearest(cls, region: str, path: Path | None) -> Prices:
        """Return the prices of a region, or of REFERENCE_REGION where the file has none of it."""
        try:
            return cls.read(region, path or PRICES)
        except UnknownRegion:
            return cls.read(REFERENCE_REGION, path or PRICES)
