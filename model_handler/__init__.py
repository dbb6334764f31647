"""Predict texts with a model; nothing here knows of HTTP."""

from model_handler.engines import Options
from model_handler.errors import BusyError, LateError, ModelError, TooManyError
from model_handler.handler import Handler, Scored, Usage
from model_handler.loading import State, Status
from model_handler.outputs import Labels, Output, Prediction, ProblemType, Values
from model_handler.resources import Limits
from model_handler.tokens import Pairs, Text

__all__ = [
    "BusyError",
    "Handler",
    "Labels",
    "LateError",
    "Limits",
    "ModelError",
    "Options",
    "Output",
    "Pairs",
    "Prediction",
    "ProblemType",
    "Scored",
    "State",
    "Status",
    "Text",
    "TooManyError",
    "Usage",
    "Values",
]
