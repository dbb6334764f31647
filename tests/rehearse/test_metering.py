"""What calls would cost, by the list."""

from __future__ import annotations

from pathlib import Path

import pytest

from rehearse.metering.ledger import Account, Ledger
from rehearse.metering.prices import PRICES, Prices, PricesError
from rehearse.model import Instance, Observation, Serverless

PLAIN = Serverless(3072, 5)
WARM = Serverless(2048, 5, provisioned=2)


class Clock:
    """A time that moves when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(clock: Clock) -> Ledger:
    return Ledger(Prices.read("us-east-1"), clock)


def only(ledger: Ledger) -> Account:
    (account,) = ledger.totals()
    return account


def test_a_second_at_3_gb_costs_what_the_price_list_says(ledger: Ledger) -> None:
    ledger.add("e", "v", PLAIN, Observation(billed_ms=1000))
    assert only(ledger).usd == pytest.approx(0.00006)
    assert only(ledger).gb_seconds == pytest.approx(3.0)


def test_each_call_is_remembered_with_what_it_costs(ledger: Ledger) -> None:
    ledger.add("e", "v", PLAIN, Observation(billed_ms=1000, bytes_in=2**30, cold=True))
    ledger.add("e", "v", Instance("ml.c5.large"), Observation(billed_ms=7, status=500))
    first, second = ledger.charges()
    assert (first.memory_mb, first.billed_ms, first.cold) == (3072, 1000, True)
    assert first.usd == pytest.approx(0.00006 + 0.016)
    assert (second.memory_mb, second.billed_ms, second.status) == (None, 7, 500)
    assert only(ledger).usd == first.usd + second.usd


def test_data_costs_in_both_directions(ledger: Ledger) -> None:
    ledger.add("e", "v", PLAIN, Observation(bytes_in=2**29, bytes_out=2**29))
    assert only(ledger).usd == pytest.approx(0.016)


def test_calls_are_counted_by_variant(ledger: Ledger) -> None:
    for variant, cold in (("a", True), ("a", False), ("b", False)):
        ledger.add("e", variant, PLAIN, Observation(billed_ms=7, cold=cold))
    first, second = ledger.totals()
    assert (first.variant, first.invocations, first.cold, first.billed_ms) == ("a", 2, 1, 14)
    assert (second.variant, second.invocations) == ("b", 1)


def test_a_throttled_call_costs_nothing(ledger: Ledger) -> None:
    ledger.add("e", "v", PLAIN, Observation(throttled=True))
    assert (only(ledger).throttled, only(ledger).invocations, only(ledger).usd) == (1, 0, 0.0)


def test_provisioned_concurrency_costs_while_it_waits(ledger: Ledger, clock: Clock) -> None:
    ledger.runs("e", "v", WARM)
    clock.now = 8 * 3600
    assert only(ledger).usd == pytest.approx(2 * 8 * 3600 * 0.00001)
    clock.now += 100
    assert only(ledger).reserved_gb_seconds == pytest.approx(2 * 2 * (8 * 3600 + 100))


def test_a_call_in_provisioned_concurrency_has_a_rate_of_its_own(ledger: Ledger) -> None:
    ledger.add("e", "v", WARM, Observation(billed_ms=1000))
    assert only(ledger).usd == pytest.approx(0.000023)


def test_a_call_that_spills_over_costs_as_on_demand(ledger: Ledger) -> None:
    ledger.add("e", "v", WARM, Observation(billed_ms=1000, spilled=True))
    assert only(ledger).usd == pytest.approx(0.00004)


def test_an_instance_costs_by_the_hour_until_it_is_deleted(ledger: Ledger, clock: Clock) -> None:
    ledger.runs("e", "v", Instance("ml.c5.large", 2))
    clock.now = 3600
    ledger.runs("e", "v", None)
    clock.now = 7200
    assert only(ledger).usd == pytest.approx(2 * 0.102)
    assert only(ledger).unpriced == []


def test_an_instance_without_a_price_is_named(ledger: Ledger, clock: Clock) -> None:
    ledger.runs("e", "v", Instance("ml.unheard.of"))
    clock.now = 60
    assert only(ledger).unpriced == ["ml.unheard.of"]
    assert only(ledger).instance_seconds == 60
    assert only(ledger).usd == 0.0


def test_an_update_is_paid_for_at_each_size(ledger: Ledger, clock: Clock) -> None:
    ledger.runs("e", "v", WARM)
    clock.now = 10
    ledger.runs("e", "v", Serverless(2048, 5, provisioned=1))
    clock.now = 20
    assert only(ledger).reserved_gb_seconds == pytest.approx(2 * (20 + 10))


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
