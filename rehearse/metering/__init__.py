"""Record what endpoints do: metrics and logs in CloudWatch, and the bill."""
