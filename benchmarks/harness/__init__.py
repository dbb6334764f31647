"""Start servers and containers, ask them, and keep what is measured."""
