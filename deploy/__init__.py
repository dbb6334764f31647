"""Ways to deploy: each script is to be read, run and copied; docs/deploy.md lists them."""
