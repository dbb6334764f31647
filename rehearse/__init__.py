"""A SageMaker serverless endpoint on a desk: the data plane runs real containers, moto the rest."""
