"""Builds values for the chart and finds its objects in what was rendered: the words of the chart's tests."""

import json
from copy import deepcopy
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.chart.helm import Refused, render

SHAPES = Path(__file__).parent / "shapes"
MINIMAL = yaml.safe_load((SHAPES / "minimal.yaml").read_text())


def shape(name):
    """Return the values of a shape."""
    return yaml.safe_load((SHAPES / f"{name}.yaml").read_text())


def merged(values, changes):
    """Return the values with these changes in them, maps into maps as Helm does it; None takes a key away."""
    result = deepcopy(values)
    for key, change in changes.items():
        if isinstance(change, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], change)
        else:
            result[key] = change
    return result


def refusal(changes=None, values=None):
    """Return why Helm refuses the minimal values with these changes; it must."""
    with pytest.raises(Refused) as refused:
        Rendered(changes, values)
    return str(refused.value)


@cache
def _rendered(values, **options):
    """Render what was not rendered before: many tests look at the same release."""
    return render(json.loads(values), **options)


class Rendered:
    """The chart's objects for the minimal values and these changes."""

    def __init__(self, changes=None, values=None, **options):
        self.documents = _rendered(json.dumps(merged(values or MINIMAL, changes or {})), **options)

    def all(self, kind):
        """Return all objects of a kind."""
        return [document for document in self.documents if document["kind"] == kind]

    def named(self, kind, suffix):
        """Return the one object of a kind whose name ends so."""
        (found,) = (
            document for document in self.all(kind) if document["metadata"]["name"].endswith(f"-{suffix}")
        )
        return found

    def names(self, kind):
        """Return the names of all objects of a kind."""
        return sorted(document["metadata"]["name"] for document in self.all(kind))

    def pod(self, component):
        """Return the pod's spec of service, worker, migrate or test."""
        return self.pod_of(component)["spec"]

    def pod_of(self, component):
        """Return the pod or its template, metadata and spec."""
        if component == "test":
            return self.named("Pod", "test")
        kind = "Job" if component == "migrate" else "Deployment"
        return self.named(kind, component)["spec"]["template"]

    def container(self, component):
        """Return the broker's container of a component."""
        return self.pod(component)["containers"][0]

    def env(self, component):
        """Return the variables of the broker's container that have a value."""
        return env_of(self.container(component))


def env_of(container):
    """Return a container's variables by name; one that stands there twice is no good."""
    variables = {variable["name"]: variable.get("value") for variable in container.get("env", [])}
    assert len(variables) == len(container.get("env", []))
    return variables


def mounted_secrets(pod):
    """Return path -> (Secret, key) of the projected volume that holds the secrets."""
    (volume,) = (volume for volume in pod["volumes"] if volume["name"] == "token-broker-secrets")
    return {
        item["path"]: (source["secret"]["name"], item["key"])
        for source in volume["projected"]["sources"]
        for item in source["secret"]["items"]
    }
