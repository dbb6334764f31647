"""Time runs of the engine by the number of tokens in them."""
