#!/usr/bin/env python3
"""Checks the chart, the plain manifests and the examples beside them; nothing else notices a misspelt name.

    pip install kubernetes-validate==1.37.0
    HELM=helm python3 deploy/check.py            # HELM may name several: "helm helm3"
    HELM=helm python3 deploy/check.py --write    # makes the copies and the plain manifests anew

Needs promtool. With MIRRORLAB_PROXY, the path of a proxy, the settings in ConfigMaps are checked by it. No cluster is
asked: what is seen is names, types and ranges, not what controllers and CEL rules make of them.
Exit code 0: well; 1: all findings are listed; 3: something is missing.
"""

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import jsonschema
    import yaml
    from kubernetes_validate import SchemaNotFoundError, ValidationError, utils, validate
except ImportError as error:
    print(f"{error}\nInstall it: pip install kubernetes-validate==1.37.0", file=sys.stderr)
    sys.exit(3)

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
CHART = HERE / "helm/mirrorlab"
HELMS = os.environ.get("HELM", "helm").split()
# What the chart has a copy of: links leave the chart where Flux or an archive packs it.
COPIES = ["observability/rules.yml", "observability/alerts.yml", "dashboards/mirrorlab-shadowing.json"]
SETS = [None, *sorted(file.stem for file in (HERE / "values").glob("*.yaml"))]
# Plain manifests: from which values, and which templates; none: all.
PLAIN = {"gateway": [], "sidecar": [], "relay": [], "monitoring": ["servicemonitor", "prometheusrule"]}
EXAMPLES = [
    file for folder in ("flagger", "argo-rollouts", "gateway-api", "istio") for file in sorted((HERE / folder).glob("*.yaml"))
]
# What the chart must refuse, and what it says.
REFUSED = [
    (["replicaCuont=2"], "replicaCuont"),
    (["replicaCount=two"], "replicaCount"),
    (["env.CONTROL_TOKEN=x"], "CONTROL_TOKEN"),
    (["settings=[admin]\ntoken = 1"], "secretEnv"),
    (["settings=mirror.sample_secret = 1"], "secretEnv"),
    (["relay.enabled=true"], "no [[listener]]"),
    (["relay.enabled=true", 'settings=address = ":8081"'], "networkPolicy.relay"),
    (["service.enabled=false"], "nobody could send anything"),
    (["shape=sidecar"], "sidecar.application"),
    (["networkPolicy.candidates[0].name=v2"], "podSelector"),
]
VERSIONS = list(dict.fromkeys(utils.major_minor(version) for version in utils.all_versions()))[-2:]
utils.schema_contents = functools.cache(utils.schema_contents)


class Loader(yaml.SafeLoader):
    """Refuses a key that is there twice, of which PyYAML takes the last."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        twice = {str(key) for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"twice: {', '.join(twice)}", node.start_mark)
        return super().construct_mapping(node, deep)


# A scalar `=`, which YAML 1.1 gives a type of its own.
Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: node.value)


def documents(text):
    """All that are in a file."""
    return [one for one in yaml.load_all(text, Loader) if one]


def read(path):
    """A file of the repository."""
    return (ROOT / path).read_text(encoding="utf-8")


def helm(program, *arguments):
    """Runs Helm; what it says on its standard output, or None and what is wrong."""
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    return (done.stdout, None) if done.returncode == 0 else (None, (done.stderr + done.stdout).strip())


def template(program, values, templates=()):
    """Renders the chart, as text."""
    files = ["--values", str(HERE / f"values/{values}.yaml")] if values else []
    only = [part for name in templates for part in ("--show-only", f"templates/{name}.yaml")]
    return helm(program, "template", "mirrorlab", str(CHART), "--namespace", "shop", *files, *only)


def plain(values, templates):
    """A manifest without what only Helm has a use for."""
    text, wrong = template(HELMS[0], values, templates)
    if wrong:
        return f"# {wrong}"
    lines = [line.rstrip() for line in text.splitlines()]
    helms = re.compile(r"# Source: |\s*helm\.sh/chart: |\s*app\.kubernetes\.io/managed-by: Helm")
    lines = [line for line in lines if not helms.match(line)]
    body = re.sub(r"\n+(---\n)", r"\n\1", "\n".join(lines)).strip().removeprefix("---").strip()
    head = f"# Made from the chart by `just deploy`, with deploy/values/{values}.yaml; kubectl -n shop apply -f"
    return f"{head}\n---\n{body}\n"


def made():
    """The files that are made from others, with what they are to hold."""
    for source in COPIES:
        yield CHART / "files" / Path(source).name, read(source)
    for values, templates in PLAIN.items():
        yield HERE / f"kubernetes/{values}.yaml", plain(values, templates)


@functools.cache
def custom(kind, version):
    """The schema of a kind that is not Kubernetes' own."""
    file = HERE / f"schemas/{kind.lower()}-{version}.json"
    return jsonschema.Draft202012Validator(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None


def against_schema(one):
    """Yields what the published schemas refuse of a document."""
    name = f"{one.get('kind')} {one.get('metadata', {}).get('name')}"
    schema = custom(one["kind"], one["apiVersion"].rpartition("/")[2])
    if schema:
        for error in schema.iter_errors(one):
            yield f"{name}: {'.'.join(map(str, error.absolute_path))}: {error.message[:300]}"
        if one["kind"] == "Rollout":
            pod = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": name}, "template": one["spec"]["template"]}
            yield from against_schema(pod)
        return
    for kubernetes in VERSIONS:
        try:
            validate(one, kubernetes, strict=True)
        except SchemaNotFoundError as error:
            yield f"{name}: {error.message}"
        except ValidationError as error:
            yield f"{name}: Kubernetes {kubernetes}: {'.'.join(map(str, error.path))}: {error.message[:300]}"


def hardened(one):
    """Yields what the proxy's pods lack of what the manual promises."""
    if one["kind"] != "Deployment":
        return
    pod = one["spec"]["template"]["spec"]
    [proxy] = [container for container in pod["containers"] if container["name"] == "mirrorlab"]
    context = proxy["securityContext"]
    wanted = {
        "runAsNonRoot": True, "runAsUser": 65532, "readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
    }
    yield from (f"securityContext.{key} is not {value}" for key, value in wanted.items() if context.get(key) != value)
    if pod.get("automountServiceAccountToken") is not False:
        yield "the pod has a token of the cluster"
    yield from (f"{mount['mountPath']}: a subPath never changes" for mount in proxy["volumeMounts"] if "subPath" in mount)
    delays = [int(env["value"]) for env in proxy["env"] if env["name"].startswith("DRAIN_")]
    if len(delays) != 2 or pod["terminationGracePeriodSeconds"] <= sum(delays):
        yield "the grace period is over before the drain"
    known = set(re.findall(r"^\| `([A-Z_0-9]+)`", read("docs/environment.md"), re.M))
    yield from (f"{env['name']} is no setting" for env in proxy["env"] if env["name"] not in known)


def settings(one):
    """Yields what the proxy says of the settings in a ConfigMap."""
    proxy = os.environ.get("MIRRORLAB_PROXY")
    if not proxy or one["kind"] != "ConfigMap" or "mirrorlab.toml" not in one["data"]:
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mirrorlab.toml"
        file.write_text(one["data"]["mirrorlab.toml"], encoding="utf-8")
        done = subprocess.run([proxy, "check", str(file)], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if done.returncode != 0 or "warning" in said.lower():
        yield f"settings: {said.strip()}"


def promtool(command, content):
    """Yields what promtool says of rules, or of tests."""
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        yaml.safe_dump(content, file)
        file.flush()
        done = subprocess.run(["promtool", command, "rules", file.name], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        yield f"promtool: {(done.stderr + done.stdout).strip()}"


def judged(query):
    """Yields where a gate's query does not say what two replicas say: 1, 0 or -1, or nothing without them."""
    cases = [(("pass", "pass"), 1), (("pass", "not enough data"), 0), (("pass", "fail"), -1), (("fail", "fail"), -1), ((), None)]
    tests = []
    for said, value in cases:
        series = [
            {"series": f'mirror_overall_verdict{{namespace="x",job="x",candidate="x",instance="{place}",verdict="{verdict}"}}',
             "values": str(int(verdict == one))}
            for place, one in enumerate(said) for verdict in ("pass", "fail", "not enough data")
        ]
        samples = [] if value is None else [{"labels": "{}", "value": value}]
        asked = {"expr": query, "eval_time": "0m", "exp_samples": samples}
        tests.append({"interval": "1m", "input_series": series, "promql_expr_test": [asked]})
    yield from promtool("test", {"tests": tests})


def rules(docs):
    """Yields where the rules of a rendering are not those of observability/."""
    found = [group for one in docs if one["kind"] == "PrometheusRule" for group in one["spec"]["groups"]]
    if found:
        wanted = [documents(read(f"observability/{name}.yml"))[0]["groups"] for name in ("rules", "alerts")]
        if found != sum(wanted, []):
            yield "the rules are not those of observability/"
        yield from promtool("check", {"groups": found})


def queries(one):
    """The queries to Prometheus in an example, without what is put in."""
    found = []
    if one["kind"] == "MetricTemplate":
        found = [one["spec"]["query"]]
    elif one["kind"] == "AnalysisTemplate":
        providers = [metric["provider"] for metric in one["spec"]["metrics"]]
        found = [provider["prometheus"]["query"] for provider in providers if "prometheus" in provider]
    return [re.sub(r"\{\{.*?\}\}", "x", query) for query in found]


def rendered(text):
    """Yields what is wrong with all that the chart makes of some values."""
    try:
        docs = documents(text)
    except yaml.YAMLError as error:
        yield str(error)
        return
    for one in docs:
        for check in (against_schema, hardened, settings):
            yield from check(one)
    yield from rules(docs)


def chart(program):
    """Yields what is wrong with the chart by one Helm, and with what it makes."""
    for values in SETS:
        files = ["--values", str(HERE / f"values/{values}.yaml")] if values else []
        _, wrong = helm(program, "lint", "--strict", str(CHART), *files)
        text, worse = template(program, values)
        if wrong or worse:
            yield f"{values or 'default'}: {wrong or worse}"
            continue
        yield from (f"{values or 'default'}: {finding}" for finding in rendered(text))
    for sets, reason in REFUSED:
        arguments = [part for one in sets for part in ("--set-string" if "settings=" in one else "--set", one)]
        text, wrong = helm(program, "template", "mirrorlab", str(CHART), *arguments)
        if text is not None or reason not in wrong:
            yield f"{sets} is to be refused for {reason!r}: {wrong}"


def named_alike(one, schema, path=""):
    """Yields where values and their schema do not have the same names."""
    known = schema.get("properties")
    if known is None:
        return
    yield from (f"values.yaml: {path}{name} is not in the schema" for name in one if name not in known)
    # Helm's own, for a chart within others.
    unsaid = [name for name in known if name not in one and path + name != "global"]
    yield from (f"values.schema.json: {path}{name} is not in values.yaml" for name in unsaid)
    for name in known:
        if isinstance(one.get(name), dict) and one[name]:
            yield from named_alike(one[name], known[name], f"{path}{name}.")


def texts():
    """Yields what is wrong with single files."""
    own = documents(read(CHART / "values.yaml"))[0]
    yield from named_alike(own, json.loads(read(CHART / "values.schema.json")))
    version = re.search(r'^version = "(.*)"', read("Cargo.toml"), re.M).group(1)
    if documents(read(CHART / "Chart.yaml"))[0]["appVersion"] != version:
        yield f"Chart.yaml: appVersion is not {version}"
    for file, text in made():
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            yield f"{file.relative_to(ROOT)} is not what it is made from: just deploy"


def examples():
    """Yields what is wrong with the documents beside the chart."""
    metrics = read("docs/metrics.md")
    for file in EXAMPLES:
        try:
            docs = documents(read(file))
        except yaml.YAMLError as error:
            docs = []
            yield f"{file.relative_to(ROOT)}: {error}"
        for one in docs:
            asked = queries(one)
            found = [*against_schema(one), *(finding for query in asked for finding in judged(query))]
            names = {name for query in asked for name in re.findall(r"\bmirror_\w+", query)}
            found += [f"{name} is no metric" for name in names if f"`{name}`" not in metrics]
            yield from (f"{file.relative_to(ROOT)}: {finding}" for finding in found)


def main(arguments):
    """Writes what is made, or checks all; returns the exit code."""
    missing = [program for program in [*HELMS, "promtool"] if not shutil.which(program)]
    if missing:
        print(f"not there: {', '.join(missing)}", file=sys.stderr)
        return 3
    if arguments == ["--write"]:
        for file, text in made():
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return 0
    findings = [*texts(), *examples()]
    for program in HELMS:
        version = helm(program, "version", "--short")[0].strip()
        findings += [f"Helm {version}: {finding}" for finding in chart(program)]
        print(f"Helm {version}: {len(SETS)} sets of values, {len(REFUSED)} that are refused, Kubernetes {', '.join(VERSIONS)}")
    print(f"{len(PLAIN)} manifests, {len(COPIES)} copies, {len(EXAMPLES)} files of examples")
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
