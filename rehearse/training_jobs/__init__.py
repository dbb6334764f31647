"""Run training jobs."""
