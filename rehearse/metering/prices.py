"""A region in, its list prices out: those of prices.toml, or of another file of its form."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PRICES = Path(__file__).parents[1] / "prices.toml"


class PricesError(Exception):
    """A file of prices cannot be used; the message says why, in one line."""


class UnknownRegion(PricesError):
    """A file has no prices of a region."""


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

    @classmethod
    def read(cls, region: str, path: Path = PRICES) -> Prices:
        """Those of a region; raises PricesError."""
        try:
            found: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
            dated = str(found.pop("dated"))
            if region not in found:
                raise UnknownRegion(
                    f"{path} has no {region}; it knows {', '.join(found) or 'none'}"
                )
            prices = cls(region=region, dated=dated, **found[region])
            # A TypeError where one of them is no number.
            sum([*found[region].pop("instance_hour", {}).values(), *found[region].values()])
            return prices
        except (OSError, ValueError) as error:
            raise PricesError(f"{path} cannot be read: {error}") from error
        except KeyError as error:
            raise PricesError(f"{path} has no {error}") from error
        except TypeError as error:
            raise PricesError(f"{path} has not the prices it must have: {error}") from error
