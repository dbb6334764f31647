"""Run a SageMaker endpoint locally: moto keeps the records, and containers really run.

__main__            the command line
commands            what it can be asked for
rehearsal           everything that runs while `rehearse up` does
http_server         HTTP: InvokeEndpoint to data_plane/, all else to moto
proxy               HTTPS: every address of AWS ends in the rehearsal
identity            the role that clients act in
sagemaker_api       the actions of SageMaker's API that moto lacks, answered by
  control_plane/    models, endpoint configurations, endpoints
  batch/            transform jobs
cloudformation/     stacks
data_plane/         endpoints, variants and their environments, from zero to MaxConcurrency
container_engines/  run the containers: docker, process
metering/           metrics, logs, the bill
data_types, errors  what all of them pass to each other, and raise
owner               marks what a rehearsal starts, and tells whether it still runs
moto_patches/       every patch of moto
"""
