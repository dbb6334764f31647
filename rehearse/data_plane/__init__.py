"""Run what endpoints consist of, and answer InvokeEndpoint."""
