"""The model: texts in, predictions out. Knows nothing of HTTP."""

from model_handler.errors import ModelError
from model_handler.handler import Handler, State
from model_handler.labels import Prediction

__all__ = ["Handler", "ModelError", "Prediction", "State"]
