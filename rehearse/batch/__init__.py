"""Run Batch Transform jobs."""
