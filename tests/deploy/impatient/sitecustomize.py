"""Let a process sleep for a second at most: SDKs and waiters look again after 5 to 30 seconds."""

import time
from collections.abc import Callable


def _at_most_a_second(sleep: Callable[[float], None]) -> Callable[[float], None]:
    return lambda seconds: sleep(min(seconds, 1.0))


time.sleep = _at_most_a_second(time.sleep)  # type: ignore[assignment]  # nobody sleeps an index
