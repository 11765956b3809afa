"""Reads rendered manifests and says where in them the pods are. Knows Kubernetes' shapes, judges nothing."""

from dataclasses import dataclass

import yaml

CONTAINER_FIELDS = ("initContainers", "containers", "ephemeralContainers")


class Unreadable(Exception):
    """What Helm rendered is no list of Kubernetes objects."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Refuses a key that is given twice, which PyYAML would let pass and a cluster would not."""


def _mapping(loader, node):
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise Unreadable(f"the key {', '.join(sorted(map(str, twice)))} is given twice, {node.start_mark}")
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def documents_of(text):
    """Return the objects in this YAML; documents without any content do not count."""
    try:
        found = [document for document in yaml.load_all(text, Loader=_Loader) if document]
    except yaml.YAMLError as error:
        raise Unreadable(str(error)) from error
    for document in found:
        if not isinstance(document, dict) or not {"apiVersion", "kind", "metadata"} <= set(document):
            raise Unreadable(f"no apiVersion, kind and metadata in: {str(document)[:200]}")
    return found


def title(document):
    """Return kind and name, as findings name a document."""
    return f"{document['kind']}/{document['metadata'].get('name', '(no name)')}"


def at(document, *keys, default=None):
    """Return what lies at these keys, or the default where any of them is missing or empty."""
    for key in keys:
        if not isinstance(document, dict) or document.get(key) is None:
            return default
        document = document[key]
    return document


@dataclass(frozen=True)
class Pod:
    """A pod or a pod template: the document it stands in, where in it, its metadata and its spec."""

    document: dict
    path: str
    metadata: dict
    spec: dict

    @property
    def labels(self):
        """The labels that the pods will carry."""
        return self.metadata.get("labels") or {}

    def containers(self):
        """Yield path and container, of every kind."""
        for field in CONTAINER_FIELDS:
            for index, container in enumerate(self.spec.get(field) or []):
                yield f"{self.path}.{field}[{index}]", container


def pods_of(document):
    """Return every pod that this document would run, wherever a template stands in it."""
    if document["kind"] == "Pod":
        return [Pod(document, "spec", document["metadata"], document.get("spec") or {})]
    return list(_templates(document, document, ""))


def _templates(document, value, path):
    """Walk the whole document: a template in a kind nobody thought of is a pod all the same."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _templates(document, item, f"{path}[{index}]")
    elif isinstance(value, dict):
        if isinstance(value.get("spec"), dict) and "containers" in value["spec"]:
            yield Pod(document, f"{path}.spec".lstrip("."), value.get("metadata") or {}, value["spec"])
        for key, item in value.items():
            yield from _templates(document, item, f"{path}.{key}".lstrip("."))
