"""The model: texts in, predictions out. Knows nothing of HTTP."""

from model_handler.errors import ModelError
from model_handler.handler import Handler, State
from model_handler.labels import Prediction
from model_handler.limits import Limits

__all__ = ["Handler", "Limits", "ModelError", "Prediction", "State"]
