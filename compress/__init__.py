"""Offline: a checkpoint in, a smaller model out that is proven to answer alike."""
