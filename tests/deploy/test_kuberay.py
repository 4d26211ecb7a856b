"""`deploy/kuberay.yaml` against what KubeRay's RayJob has, and against the project that it runs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from sweeps.commands.arguments import study_parser

ROOT = Path(__file__).resolve().parents[2]


TEXT, COUNT, FLAG, MAP = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}, {"type": "object"}
TEXTS = {"type": "object", "additionalProperties": TEXT}


def fields(required: tuple[str, ...] = (), **known: Any) -> dict[str, Any]:
    """An object with no other fields than these: the API server drops what it does not know, or refuses it."""
    return {"type": "object", "properties": known, "required": list(required), "additionalProperties": False}


def items(of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": of, "minItems": 1}


QUANTITIES = {"type": "object", "additionalProperties": {"type": "string", "pattern": r"^[0-9.]+(m|Ki|Mi|Gi|Ti)?$"}}
CONTAINER = fields(
    ("name", "image"),
    name=TEXT,
    image=TEXT,
    imagePullPolicy={"enum": ["Always", "IfNotPresent", "Never"]},
    workingDir=TEXT,
    env=items(fields(("name",), name=TEXT, value=TEXT, valueFrom=MAP)),
    envFrom=items(fields(secretRef=fields(("name",), name=TEXT, optional=FLAG), configMapRef=MAP)),
    ports=items(fields(("containerPort",), containerPort=COUNT, name={"type": "string", "maxLength": 15})),
    resources=fields(requests=QUANTITIES, limits=QUANTITIES),
    volumeMounts=items(fields(("name", "mountPath"), name=TEXT, mountPath=TEXT, subPath=TEXT, readOnly=FLAG)),
)
POD = fields(
    ("spec",),
    metadata=MAP,
    spec=fields(
        ("containers",),
        containers=items(CONTAINER),
        volumes=items(
            fields(("name",), name=TEXT, persistentVolumeClaim=fields(("claimName",), claimName=TEXT), emptyDir=MAP)
        ),
        securityContext=fields(runAsUser=COUNT, runAsGroup=COUNT, fsGroup=COUNT, runAsNonRoot=FLAG),
        terminationGracePeriodSeconds=COUNT,
        nodeSelector=TEXTS,
        tolerations=items(MAP),
        serviceAccountName=TEXT,
    ),
)
HEAD = fields(
    ("template", "rayStartParams"),
    template=POD,
    rayStartParams=TEXTS,
    serviceType=TEXT,
    headService=MAP,
    enableIngress=FLAG,
)
GROUP = fields(
    ("groupName", "template", "rayStartParams", "minReplicas", "maxReplicas"),
    groupName=TEXT,
    replicas=COUNT,
    minReplicas=COUNT,
    maxReplicas=COUNT,
    numOfHosts=COUNT,
    idleTimeoutSeconds=COUNT,
    suspend=FLAG,
    rayStartParams=TEXTS,
    template=POD,
    scaleStrategy=MAP,
)
CLUSTER = fields(
    ("headGroupSpec",),
    rayVersion=TEXT,
    authOptions=fields(mode={"enum": ["disabled", "token"]}),
    suspend=FLAG,
    managedBy=TEXT,
    enableInTreeAutoscaling=FLAG,
    autoscalerOptions=MAP,
    headServiceAnnotations=TEXTS,
    gcsFaultToleranceOptions=MAP,
    headGroupSpec=HEAD,
    workerGroupSpecs=items(GROUP),
)
RAYJOB = fields(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata=fields(("name",), name={"type": "string", "pattern": "^[a-z0-9-]{1,47}$"}, labels=TEXTS, namespace=TEXT),
    spec=fields(
        ("entrypoint", "rayClusterSpec"),
        activeDeadlineSeconds=COUNT,
        backoffLimit=COUNT,
        rayClusterSpec=CLUSTER,
        submitterPodTemplate=POD,
        clusterSelector=TEXTS,
        submitterConfig=fields(backoffLimit=COUNT),
        managedBy=TEXT,
        deletionStrategy=MAP,
        entrypoint=TEXT,
        runtimeEnvYAML=TEXT,
        jobId=TEXT,
        submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
        entrypointResources=TEXT,
        entrypointNumCpus={"type": "number"},
        entrypointNumGpus={"type": "number"},
        ttlSecondsAfterFinished=COUNT,
        shutdownAfterJobFinishes=FLAG,
        suspend=FLAG,
    ),
)
"""Of KubeRay's API reference and Kubernetes', the parts that a RayJob of ours may need."""


@pytest.fixture(scope="module")
def job() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "kuberay.yaml").read_text())
    return values


def pods(job: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """(group, pod's spec) of the head and the workers."""
    cluster = job["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        yield group, group["template"]["spec"]


def test_every_field_is_one_of_a_rayjob(job: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(RAYJOB)
    jsonschema.validate(job, RAYJOB)


@pytest.mark.parametrize("wrong", ["backOffLimit", "entryPoint"])
def test_a_misspelled_field_is_found(job: dict[str, Any], wrong: str) -> None:
    with pytest.raises(jsonschema.ValidationError, match=wrong):
        jsonschema.validate({**job, "spec": {**job["spec"], wrong: 1}}, RAYJOB)


def test_it_runs_a_command_that_the_program_takes_with_the_pinned_ray(job: dict[str, Any]) -> None:
    python, program, *arguments = shlex.split(job["spec"]["entrypoint"])
    assert (python, program) == ("python", "tune_runner.py")
    args = study_parser().parse_args(arguments)
    pinned = re.search(r"^ray==(.*)$", (ROOT / "constraints.txt").read_text(), re.M)
    assert pinned is not None
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == pinned[1]
    mounts = {mount["mountPath"] for _, pod in pods(job) for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts == {"/shared"}
    assert str(args.out).startswith("/shared/")


def test_all_pods_have_the_same_image_folder_environment_and_volume(job: dict[str, Any]) -> None:
    shared = [
        (pod["containers"][0][key] for key in ("image", "workingDir", "envFrom", "volumeMounts"))
        for _, pod in pods(job)
    ]
    assert len({str([*values]) for values in shared}) == 1
    for _, pod in pods(job):
        claims = {volume["name"] for volume in pod["volumes"]}
        assert claims == {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}


def test_the_cluster_has_a_token_and_trials_get_time_to_save(job: dict[str, Any]) -> None:
    assert job["spec"]["rayClusterSpec"]["authOptions"] == {"mode": "token"}
    assert job["spec"]["backoffLimit"] > 0, "the same command goes on in a new cluster"
    for _, pod in pods(job):
        assert pod["terminationGracePeriodSeconds"] >= 120
    options = {name for group, _ in pods(job) for name in group["rayStartParams"]}
    assert options <= {"num-cpus", "num-gpus", "object-store-memory", "disable-usage-stats"}
