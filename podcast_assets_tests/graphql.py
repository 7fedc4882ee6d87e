"""Actions of Dagster's UI, as the GraphQL that the UI sends."""

import json
import urllib.request
from collections.abc import Mapping
from typing import Any

_SENSOR_STATE = """
query($selector: SensorSelector!) { sensorOrError(sensorSelector: $selector) {
  __typename ... on Sensor { sensorState { id } } ... on PythonError { message } } }
"""
_START_SENSOR = """
mutation($selector: SensorSelector!) { startSensor(sensorSelector: $selector) {
  __typename ... on PythonError { message } } }
"""
_STOP_SENSOR = """
mutation($id: String!) { stopSensor(id: $id) { __typename ... on PythonError { message } } }
"""


def ask(port: int, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Send a query to the webserver on a port of this machine; returns the data of the answer."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        json.dumps({"query": query, "variables": variables}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)["data"]


def _selector(location: str, sensor: str) -> dict[str, Any]:
    names = {"repositoryLocationName": location, "repositoryName": "__repository__", "sensorName": sensor}
    return {"selector": names}


def start_sensor(port: int, location: str, sensor: str) -> None:
    answer = ask(port, _START_SENSOR, _selector(location, sensor))["startSensor"]
    assert answer["__typename"] == "Sensor", answer


def stop_sensor(port: int, location: str, sensor: str) -> None:
    found = ask(port, _SENSOR_STATE, _selector(location, sensor))["sensorOrError"]
    assert found["__typename"] == "Sensor", found
    answer = ask(port, _STOP_SENSOR, {"id": found["sensorState"]["id"]})["stopSensor"]
    assert answer["__typename"] == "StopSensorMutationResult", answer
