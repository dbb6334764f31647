"""Forecast latency, throttles and cost of more traffic than this machine could rehearse."""
