"""Pack a checkpoint into a smaller model that is proven to answer alike; not imported by serve."""
