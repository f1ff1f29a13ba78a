"""Objects by their schemas: Kubernetes' own, and those in KEDA's definitions. Strict: a field that the schema does not know is a mistake."""

import jsonschema
import kubernetes_validate
import yaml

# The version whose schemas are asked; requirements.txt has the package that brings them.
KUBERNETES = "1.37"


class Definitions:
    """KEDA's custom resources, by apiVersion and kind."""

    def __init__(self, folder):
        self.schemas = {}
        for file in sorted(folder.glob("*.yaml")):
            definition = yaml.safe_load(file.read_text())
            if (definition or {}).get("kind") != "CustomResourceDefinition":
                continue
            spec = definition["spec"]
            for version in spec["versions"]:
                place = f"{spec['group']}/{version['name']}", spec["names"]["kind"]
                self.schemas[place] = strict(version["schema"]["openAPIV3Schema"])

    def check(self, found):
        schema = self.schemas.get((found["apiVersion"], found["kind"]))
        if schema is None:
            return [f"{name(found)}: nobody defines {found['apiVersion']} {found['kind']}"]
        errors = jsonschema.Draft202012Validator(schema).iter_errors(found)
        return [f"{name(found)}: {'.'.join(map(str, error.path))}: {error.message}" for error in errors]


def strict(schema):
    """Fields that are not named are refused, except below what takes any."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    is_open = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object" and not is_open:
        made["additionalProperties"] = False
    if schema.get("type") == "object" and "metadata" in schema.get("properties", {}) and "apiVersion" in schema["properties"]:
        # The definitions leave it to Kubernetes.
        made["properties"]["metadata"] = {"type": "object"}
    return made


def check(objects, keda):
    wrong = []
    for found in objects:
        if ".keda.sh/" in f".{found['apiVersion']}":
            wrong += keda.check(found)
            continue
        try:
            kubernetes_validate.validate(found, KUBERNETES, strict=True)
        except kubernetes_validate.ValidationError as error:
            wrong.append(f"{name(found)}: {'.'.join(map(str, error.path))}: {error.message}")
        except kubernetes_validate.SchemaNotFoundError:
            wrong.append(f"{name(found)}: Kubernetes {KUBERNETES} does not know {found['apiVersion']}")
    return wrong


def name(found):
    return f"{found['kind']} {found['metadata']['name']}"
