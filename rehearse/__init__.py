"""A SageMaker serverless endpoint on a desk: the data plane runs real containers, moto the rest.

__main__, cloud      the command, and all that runs while it does
front                HTTP: InvokeEndpoint to data_plane/, all else to moto
actions              what moto's SageMaker does not know, in
  control_plane/     models, configurations, endpoints
  batch/             transform jobs
cloudformation/      stacks
data_plane/          environments, from zero to MaxConcurrency
  engines/           run them: docker, process
metering/            metrics, logs, the bill
model                data and errors that all of them know
"""
