"""What ends the command with one line and exit code 2."""

from __future__ import annotations


class CloudError(Exception):
    """The rehearsal cannot start; the message is one line that says what to do."""
