"""What can be wrong with a model directory, in words its owner can act on.

ModelError          the model cannot be served; the message says why and what to do
|- ArtifactError    what lies in the directory is missing, incomplete or foreign
|- EngineError      the files are whole, but the engine cannot be opened or answers wrongly
"""


class ModelError(Exception):
    """The model cannot be served; the message says why and what to do."""


class ArtifactError(ModelError):
    """What lies in the model directory is missing, incomplete or foreign."""


class EngineError(ModelError):
    """The files are whole, but the engine cannot be opened or answers wrongly."""
