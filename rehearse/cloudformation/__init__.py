"""Stacks in, calls of the control plane out: what moto's CloudFormation lacks."""
