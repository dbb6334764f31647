"""The table of thread counts, from made-up times."""

from __future__ import annotations

from benchmarks.harness.results import Results
from benchmarks.threads import command


def test_the_page_has_the_rule_in_bold_and_says_how_good_it_is() -> None:
    found = Results("python -m benchmarks threads", {})
    for memory, chosen in ((1024, 1), (3072, 2)):
        found.say(str(memory), {"chosen": str(chosen)})
        for count in command.COUNTS:
            who = f"{memory} MB, {count} threads"
            for kind in command.KINDS:  # one thread is the best
                found.add(who, {kind: 10.0 * count})
                found.add(who, {kind: 20.0 * count})
    page = command.page(found)
    assert "| 1024 | 0.58 | **1** | 15.0 / 15.0 | 15.0 / 15.0 | 4266.7 |" in page
    assert "| 3072 | 1.74 | **2** | 30.0 / 30.0 |" in page
    assert "- 1024 MB: the rule chooses 1, the best for each figure" in page
    assert "- 3072 MB: the rule chooses 2, **not** within 5 % of the best" in page
    assert "- 2048, 4096, 5120, 6144 MB: skipped" in page
