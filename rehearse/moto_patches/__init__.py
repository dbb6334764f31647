"""Change moto where it does not answer as AWS does, and use what it keeps private.

Written for moto 5.2.5; pyproject.toml allows no other minor release. names.py has every name that
is replaced or private; a test checks that each exists in the moto that is installed, and that no
module outside of this package replaces or uses one.

moto's CloudFormation and Application Auto Scaling are imported where they are patched: each brings
half of moto with it, seconds of imports.
"""
