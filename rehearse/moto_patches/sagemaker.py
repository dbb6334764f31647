"""Let moto's SageMaker use a backend and responses of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.sagemaker import models as sagemaker_models
from moto.sagemaker import urls as sagemaker_urls
from moto.sagemaker.responses import SageMakerResponse

from rehearse.moto_patches.names import replace


class SageMakerBackend(sagemaker_models.SageMakerModelBackend):
    """moto's backend of one region, to be extended outside of moto."""

    @property
    def _url_module(self) -> Any:
        return sagemaker_urls  # moto looks beside the module of the class

    @property
    def models(self) -> Mapping[str, sagemaker_models.Model]:
        """Return all models by name."""
        return self._models


class SageMakerResponses(SageMakerResponse):
    """moto's responses, to be extended outside of moto: a method by the name of each action."""

    def action(self) -> str:
        """Return the name of the action that is called."""
        return self._get_action()

    def parameter(self, name: str) -> Any:
        """Return a member of the request, or None."""
        return self._get_param(name)


def patch_sagemaker(backend: type[SageMakerBackend], responses: type[SageMakerResponses]) -> None:
    """Let moto use this backend, and answer with these responses."""
    replace("moto.sagemaker.models.sagemaker_backends.backend", backend)
    replace("moto.sagemaker.urls.url_paths", {"{0}/$": responses.dispatch})
