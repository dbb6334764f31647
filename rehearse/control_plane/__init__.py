"""Calls of SageMaker's API in, moto's records out, and what really runs behind them."""
