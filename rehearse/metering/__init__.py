"""What containers did in; metrics, logs and the bill out."""
