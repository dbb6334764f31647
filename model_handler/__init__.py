"""The model: texts in, predictions out. Knows nothing of HTTP."""

from model_handler.errors import BusyError, LateError, ModelError, TooManyError
from model_handler.handler import Handler, Scored, Usage
from model_handler.labels import Prediction
from model_handler.limits import Limits
from model_handler.loading import State

__all__ = [
    "BusyError",
    "Handler",
    "LateError",
    "Limits",
    "ModelError",
    "Prediction",
    "Scored",
    "State",
    "TooManyError",
    "Usage",
]
