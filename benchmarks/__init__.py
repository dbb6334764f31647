"""Where the figures of the README come from: a module for each, run with `python -m`."""
