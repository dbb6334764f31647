"""Deploy the container to AWS, each script in another way; docs/deploy.md lists them.

They are written to be read, run and copied. own_model.py and delete.py are run in a checkout, and
share archives.py, role.py and client.py; cdk_app.py takes alarms and dashboard from docs/. The
others need nothing else of this repository, so what two of them have in common stands in both.
"""
