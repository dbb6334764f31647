"""What calls cost by the list prices."""

from __future__ import annotations

from pathlib import Path

import pytest

from rehearse.data_types import (
    ContainerDefinition,
    InstanceConfig,
    InvocationMetrics,
    ProductionVariant,
    ServerlessConfig,
    VariantConfig,
)
from rehearse.errors import PricesError
from rehearse.metering.bill import Bill, VariantUsage, text
from rehearse.metering.prices import PRICES, Prices
from tests.clock import Clock

PLAIN = ServerlessConfig(3072, 5)
WARM = ServerlessConfig(2048, 5, provisioned_concurrency=2)


def running(config: VariantConfig) -> dict[str, ProductionVariant]:
    return {"v": ProductionVariant("v", ContainerDefinition("any", None, {}), config)}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def bill(clock: Clock) -> Bill:
    return Bill(Prices.read("us-east-1"), clock)


def only(bill: Bill) -> VariantUsage:
    (usage,) = bill.usage()
    return usage


def test_a_second_at_3_gb_costs_what_the_price_list_says(bill: Bill) -> None:
    bill.add("e", "v", PLAIN, InvocationMetrics(billed_ms=1000))
    assert only(bill).usd == pytest.approx(0.00006)
    assert only(bill).gb_seconds == pytest.approx(3.0)


def test_each_call_is_remembered_with_what_it_costs(bill: Bill) -> None:
    bill.add("e", "v", PLAIN, InvocationMetrics(billed_ms=1000, bytes_in=2**30, cold=True))
    bill.add("e", "v", InstanceConfig("ml.c5.large"), InvocationMetrics(billed_ms=7, status=500))
    first, second = bill.charges()
    assert (first.memory_mb, first.billed_ms, first.cold) == (3072, 1000, True)
    assert first.usd == pytest.approx(0.00006 + 0.016)
    assert (second.memory_mb, second.billed_ms, second.status) == (None, 7, 500)
    assert only(bill).usd == first.usd + second.usd


def test_data_costs_in_both_directions(bill: Bill) -> None:
    bill.add("e", "v", PLAIN, InvocationMetrics(bytes_in=2**29, bytes_out=2**29))
    assert only(bill).usd == pytest.approx(0.016)


def test_calls_are_counted_by_variant(bill: Bill) -> None:
    for variant, cold in (("a", True), ("a", False), ("b", False)):
        bill.add("e", variant, PLAIN, InvocationMetrics(billed_ms=7, cold=cold))
    first, second = bill.usage()
    assert (first.variant, first.invocations, first.cold, first.billed_ms) == ("a", 2, 1, 14)
    assert (second.variant, second.invocations) == ("b", 1)


def test_a_throttled_call_costs_nothing(bill: Bill) -> None:
    bill.add("e", "v", PLAIN, InvocationMetrics(throttled=True))
    assert (only(bill).throttled, only(bill).invocations, only(bill).usd) == (1, 0, 0.0)


def test_provisioned_concurrency_costs_while_it_waits(bill: Bill, clock: Clock) -> None:
    bill.changed("e", running(WARM))
    clock.now += 8 * 3600
    assert only(bill).usd == pytest.approx(2 * 8 * 3600 * 0.00001)
    clock.now += 100
    assert only(bill).reserved_gb_seconds == pytest.approx(2 * 2 * (8 * 3600 + 100))


def test_a_call_in_provisioned_concurrency_has_a_rate_of_its_own(bill: Bill) -> None:
    bill.add("e", "v", WARM, InvocationMetrics(billed_ms=1000))
    assert only(bill).usd == pytest.approx(0.000023)


def test_a_call_that_spills_over_costs_as_on_demand(bill: Bill) -> None:
    bill.add("e", "v", WARM, InvocationMetrics(billed_ms=1000, spilled=True))
    assert only(bill).usd == pytest.approx(0.00004)


def test_an_instance_costs_by_the_hour_until_it_is_deleted(bill: Bill, clock: Clock) -> None:
    bill.changed("e", running(InstanceConfig("ml.c5.large", 2)))
    clock.now += 3600
    bill.changed("e", {})
    clock.now += 3600
    assert only(bill).usd == pytest.approx(2 * 0.102)
    assert only(bill).unpriced == []


def test_an_instance_without_a_price_is_named(bill: Bill, clock: Clock) -> None:
    bill.changed("e", running(InstanceConfig("ml.unheard.of")))
    clock.now += 60
    assert only(bill).unpriced == ["ml.unheard.of"]
    assert only(bill).instance_seconds == 60
    assert only(bill).usd == 0.0


def test_an_update_is_paid_for_at_each_size(bill: Bill, clock: Clock) -> None:
    bill.changed("e", running(WARM))
    clock.now += 10
    bill.changed("e", running(ServerlessConfig(2048, 5, provisioned_concurrency=1)))
    clock.now += 10
    assert only(bill).reserved_gb_seconds == pytest.approx(2 * (20 + 10))


def test_a_bill_names_provisioned_concurrency_and_transform_jobs(bill: Bill, clock: Clock) -> None:
    bill.changed("arn:endpoint/warm", running(WARM))
    clock.now += 1000
    arn = "arn:aws:sagemaker:us-east-1:123456789012:transform-job/nightly"
    bill.add_transform(arn, {"InstanceType": "ml.c5.xlarge", "InstanceCount": 2}, 1800)
    bill.add_transform(arn, {"InstanceType": "ml.unheard.of", "InstanceCount": 1}, 60)
    found = bill.as_json()
    assert found["accounts"][0]["reserved_usd"] == pytest.approx(1000 * 2 * 2 * 0.000005)
    first, second = found["transform_jobs"]
    assert (first["seconds"], first["usd"]) == (1800, pytest.approx(0.204))
    assert second["usd"] is None
    assert found["usd"] == pytest.approx(0.02 + 0.204)
    shown = text(found).splitlines()
    assert "4000 GB-s of provisioned concurrency" in shown[2]
    assert shown[3].startswith("nightly: 1800 s on 2 ml.c5.xlarge")
    assert "No price is known of ml.unheard.of" in shown[-1]


def test_prices_of_another_file_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(PRICES.read_text().replace('"us-east-1"', '"mars-north-1"'))
    prices = Prices.read("mars-north-1", path)
    assert (prices.region, prices.dated) == ("mars-north-1", "2026-09-01")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("dated = 2026-01-01", "has no mars-north-1; it knows none"),
        ("['eu-west-1']\n", "has no 'dated'"),
        ("dated = 2026-01-01\n[mars-north-1]\n", "has not the prices it must have"),
        ("dated = ", "cannot be read"),
    ],
)
def test_a_file_of_prices_that_cannot_be_used_is_refused_in_one_line(
    text: str, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(PricesError) as caught:
        Prices.read("mars-north-1", path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
