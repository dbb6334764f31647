"""Define what can go wrong with a model, or with a request for predictions.

ModelError          the model cannot be served; the message says why and what to do
|- ArtifactError    files of the model are missing, incomplete or of another kind
|- EngineError      the files are whole, but the engine cannot be opened or answers wrongly

LogitError          a text has made the model compute something that is no number

DeadlineError       the model is fine, but these texts cannot be scored in time
|- TooManyError     not even alone: there are more than the engine can do before the deadline
|- BusyError        not now: too much waits already, or the server is about to stop
|- LateError        the deadline has passed; what was left has not been computed
"""


class ModelError(Exception):
    """The model cannot be served; the message says why and what to do."""


class ArtifactError(ModelError):
    """Files of the model are missing, incomplete or of another kind."""


class EngineError(ModelError):
    """The files are whole, but the engine cannot be opened or answers wrongly."""


class LogitError(Exception):
    """A text has made the model compute something that is no number; none is answered."""


class DeadlineError(Exception):
    """The model is fine, but these texts cannot be scored in time."""


class TooManyError(DeadlineError):
    """There are more texts than the engine can do in time; about `tokens` tokens would fit."""

    def __init__(self, tokens: float, fitting: int = 0) -> None:
        super().__init__(f"about {fitting} texts can be scored in time")
        self.tokens = tokens
        self.fitting = fitting


class BusyError(DeadlineError):
    """Too much waits already, or the server is about to stop; try again in `seconds`."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class LateError(DeadlineError):
    """The deadline has passed; what was left has not been computed."""
