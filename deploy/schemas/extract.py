#!/usr/bin/env python3
"""Makes the schemas in this folder from the resource definitions of those who publish them.

    python3 deploy/schemas/extract.py FOLDER

FOLDER has their repositories at the commits named here, as FOLDER/owner/name; needs PyYAML. What comes out
is `openAPIV3Schema` of one kind and version, without descriptions, closed against names that it does not
have, and without pod templates, which deploy/check.py holds against Kubernetes' own schemas. Rules in CEL
(`x-kubernetes-validations`) are left out: nothing here evaluates them.
"""

import json
import sys
from pathlib import Path

import yaml

# Kind, version: repository, its release, commit and file. All are Apache-2.0.
SOURCES = {
    ("HTTPRoute", "v1"): (
        "kubernetes-sigs/gateway-api", "v1.6.1", "8bb74df00e56ec8f944d48c25e6c1c9c2f6848e3",
        "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
    ),
    ("VirtualService", "v1"): (
        "istio/api", "1.30.3", "2e43f07b30b6744bc8252fce39fb58b03f85ff8b",
        "kubernetes/customresourcedefinitions.gen.yaml",
    ),
    ("ServiceMonitor", "v1"): (
        "prometheus-operator/prometheus-operator", "v0.93.0", "f8fafd475f3d132e239432ae6172de60a6cb6516",
        "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
    ),
    ("PrometheusRule", "v1"): (
        "prometheus-operator/prometheus-operator", "v0.93.0", "f8fafd475f3d132e239432ae6172de60a6cb6516",
        "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
    ),
    ("Canary", "v1beta1"): (
        "fluxcd/flagger", "v1.44.0", "15bd6ad555e6c935da55f0ab95977be74c149bd6", "artifacts/flagger/crd.yaml",
    ),
    ("MetricTemplate", "v1beta1"): (
        "fluxcd/flagger", "v1.44.0", "15bd6ad555e6c935da55f0ab95977be74c149bd6", "artifacts/flagger/crd.yaml",
    ),
    ("AnalysisTemplate", "v1alpha1"): (
        "argoproj/argo-rollouts", "v1.9.1", "b6bd3bcf8f60d717a98763d26acc983db7f97cb0",
        "manifests/crds/analysis-template-crd.yaml",
    ),
    ("Rollout", "v1alpha1"): (
        "argoproj/argo-rollouts", "v1.9.1", "b6bd3bcf8f60d717a98763d26acc983db7f97cb0",
        "manifests/crds/rollout-crd.yaml",
    ),
}
LEFT_OUT = {"description", "default", "title", "example"}
# Where a name stands for one of these it may hold a pod, which has a schema of its own.
PODS = {("Rollout", "template"), ("AnalysisTemplate", "job")}
FREE = "x-kubernetes-preserve-unknown-fields"


def pruned(kind, schema):
    """A schema without what only people read, and closed as the API server closes it."""
    kept = {}
    for key, value in schema.items():
        if key == "properties":
            kept[key] = {
                name: {"type": "object"} if (kind, name) in PODS else pruned(kind, one)
                for name, one in sorted(value.items())
            }
        elif key in {"items", "additionalProperties", "not"} and isinstance(value, dict):
            kept[key] = pruned(kind, value)
        elif key in {"anyOf", "allOf", "oneOf"}:
            kept[key] = [pruned(kind, one) if "properties" in one else one for one in value]
        elif key not in LEFT_OUT and (not key.startswith("x-") or key == FREE):
            kept[key] = value
    # Not the branches of an anyOf, which speak of some names only.
    if schema.get("type") == "object" and "properties" in kept and not kept.get(FREE):
        kept.setdefault("additionalProperties", False)
    # The API server takes null for an optional value that may be it, and JSON Schema has no such word.
    if kept.pop("nullable", False) and "type" in kept:
        kept["type"] = [kept["type"], "null"]
    return kept


def extract(folder, kind, version):
    """The file of one kind, as text."""
    repository, release, commit, path = SOURCES[kind, version]
    text = (Path(folder) / repository / path).read_text(encoding="utf-8")
    for definition in yaml.safe_load_all(text):
        if definition and definition["spec"]["names"]["kind"] == kind:
            [one] = [it for it in definition["spec"]["versions"] if it["name"] == version]
            break
    schema = pruned(kind, one["schema"]["openAPIV3Schema"])
    # Not told by the definition, since they are the same for all.
    for name in ("apiVersion", "kind"):
        schema["properties"][name] = {"type": "string"}
    schema["properties"]["metadata"] = {"type": "object"}
    where = f"github.com/{repository} {release}, {commit}, {path}"
    schema = {"$comment": f"{where}; Apache-2.0; changed: see extract.py", **schema}
    return json.dumps(schema, indent=1) + "\n"


def main(folder):
    """Writes all files."""
    here = Path(__file__).parent
    for kind, version in SOURCES:
        (here / f"{kind.lower()}-{version}.json").write_text(extract(folder, kind, version), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
