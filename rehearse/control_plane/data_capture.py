"""Read the DataCaptureConfig of an endpoint configuration.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DataCaptureConfig.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rehearse.data_types import DataCapture


def data_capture(given: Mapping[str, Any]) -> DataCapture | None:
    """Return what is to be captured, or None where nothing is."""
    if not given or not given.get("EnableCapture", True):
        return None
    options = {each["CaptureMode"] for each in given["CaptureOptions"]}
    both = "InputAndOutput" in options
    types = given.get("CaptureContentTypeHeader") or {}
    return DataCapture(
        destination=given["DestinationS3Uri"],
        percentage=given["InitialSamplingPercentage"],
        modes=frozenset({"Input", "Output"} if both else options),
        csv_types=frozenset(types.get("CsvContentTypes", ())),
        json_types=frozenset(types.get("JsonContentTypes", ())),
    )


def capture_summary(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the DataCaptureConfig of DescribeEndpoint; empty where none was given.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DataCaptureConfigSummary.html
    """
    if not given:
        return {}
    enabled = given.get("EnableCapture", True)
    return {
        "EnableCapture": enabled,
        "CaptureStatus": "Started" if enabled else "Stopped",
        "CurrentSamplingPercentage": given["InitialSamplingPercentage"],
        "DestinationS3Uri": given["DestinationS3Uri"],
        "KmsKeyId": given.get("KmsKeyId", ""),
    }
