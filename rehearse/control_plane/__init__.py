"""Answer the calls of SageMaker's API that make, change and delete models and endpoints."""
