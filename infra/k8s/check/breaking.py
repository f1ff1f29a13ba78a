"""Breaks each rule, and the schemas, in a copy of the manifests, and says which breach nobody notices."""

import copy

import rules
import schemas


def find(objects, kind, name):
    return next(one for one in objects if (one["kind"], one["metadata"]["name"]) == (kind, name))


def pod(objects, name="worker"):
    return find(objects, "Deployment", f"paceline-{name}")["spec"]["template"]["spec"]


def container(objects, name="worker"):
    return pod(objects, name)["containers"][0]


def without(place, key):
    del place[key]


def drop(objects, kind, name):
    objects.remove(find(objects, kind, name))


def policy(objects, name):
    return find(objects, "NetworkPolicy", f"paceline-{name}")["spec"]


def scaler(objects):
    return find(objects, "ScaledObject", "paceline-worker")


def without_port(objects, port, protocol="TCP"):
    for rule in policy(objects, "services")["egress"]:
        rule["ports"] = [one for one in rule["ports"] if (one["port"], one.get("protocol", "TCP")) != (port, protocol)]


# Rule, the rendering that is broken, and the breach.
BREACHES = [
    *((rules.probes, "base", lambda all, probe=probe: without(container(all), probe)) for probe in ("startupProbe", "livenessProbe", "readinessProbe")),
    (rules.liveness, "base", lambda all: container(all)["livenessProbe"].update(timeoutSeconds=3)),
    (rules.liveness, "base", lambda all: without(container(all)["livenessProbe"], "failureThreshold")),
    *((rules.resources, "base", lambda all, side=side, what=what: without(container(all)["resources"][side], what))
      for side in ("requests", "limits") for what in ("cpu", "memory")),
    (rules.not_root, "base", lambda all: without(pod(all)["securityContext"], "runAsNonRoot")),
    (rules.not_root, "base", lambda all: pod(all)["securityContext"].update(runAsUser=0)),
    (rules.seccomp, "base", lambda all: without(pod(all)["securityContext"], "seccompProfile")),
    (rules.read_only_root, "base", lambda all: without(container(all)["securityContext"], "readOnlyRootFilesystem")),
    (rules.no_privileges, "base", lambda all: without(container(all)["securityContext"], "allowPrivilegeEscalation")),
    (rules.no_privileges, "base", lambda all: container(all)["securityContext"].update(capabilities={"drop": ["ALL"], "add": ["SYS_ADMIN"]})),
    (rules.no_account_token, "base", lambda all: without(pod(all), "automountServiceAccountToken")),
    (rules.no_service_variables, "base", lambda all: without(pod(all), "enableServiceLinks")),
    (rules.fixed_images, "base", lambda all: container(all).update(image="registry/paceline:latest")),
    *((rules.namespaces, "ha", lambda all, kind=kind: without(find(all, kind, "paceline-worker")["metadata"], "namespace"))
      for kind in ("ScaledObject", "Deployment", "PodDisruptionBudget")),
    (rules.namespaces, "ha", lambda all: scaler(all)["metadata"].update(namespace="other")),
    (rules.disruption, "base", lambda all: drop(all, "PodDisruptionBudget", "paceline-worker")),
    *((rules.disruption, "base", lambda all, role=role: without(find(all, "PodDisruptionBudget", f"paceline-{role}")["spec"], "unhealthyPodEvictionPolicy"))
      for role in ("scheduler", "producer", "worker")),
    (rules.disruption, "base", lambda all: find(all, "PodDisruptionBudget", "paceline-worker")["spec"].update(unhealthyPodEvictionPolicy="IfHealthyBudget")),
    (rules.spread, "base", lambda all: without(pod(all), "topologySpreadConstraints")),
    (rules.network, "base", lambda all: drop(all, "NetworkPolicy", "paceline-nothing")),
    *((rules.network, "base", lambda all, port=port: without_port(all, *port)) for port in sorted(rules.SERVICE_PORTS | rules.DNS_PORTS)),
    (rules.network, "base", lambda all: policy(all, "services")["egress"][0].update(to=[{"namespaceSelector": {}}])),
    (rules.network, "base", lambda all: policy(all, "scheduler").update(egress=[])),
    (rules.network, "base", lambda all: policy(all, "scheduler")["egress"][0]["ports"][0].update(port=1)),
    (rules.network, "base", lambda all: policy(all, "producer").update(ingress=[])),
    (rules.network, "small", lambda all: drop(all, "NetworkPolicy", "paceline-small-services")),
    (rules.no_secret_values, "base", lambda all: all.append({"kind": "Secret", "metadata": {"name": "token"}})),
    (rules.no_secret_values, "base", lambda all: container(all)["env"].append({"name": "PACELINE_TOKEN", "value": "x"})),
    (rules.no_secret_values, "base", lambda all: container(all)["env"].append({"name": "PACELINE_BROKER_URL", "value": "x"})),
    (rules.ports, "base", lambda all: container(all, "scheduler")["ports"].pop(0)),
    (rules.ports, "base", lambda all: container(all)["ports"].pop()),
    (rules.ports, "base", lambda all: find(all, "Service", "paceline-scheduler")["spec"].update(selector={"app": "other"})),
    (rules.producers_seen, "base", lambda all: without(find(all, "Service", "paceline-producer")["spec"], "clusterIP")),
    (rules.drain, "base", lambda all: pod(all).update(terminationGracePeriodSeconds=30)),
    (rules.drain, "base", lambda all: container(all).update(args=["worker", "--grace", "10"])),
    (rules.drain, "base", lambda all: container(all).update(args=["worker"])),
    (rules.scalers, "ha", lambda all: find(all, "Deployment", "paceline-worker")["spec"].update(replicas=2)),
    (rules.scalers, "ha", lambda all: all.append({"kind": "HorizontalPodAutoscaler", "spec": {"scaleTargetRef": {"name": "paceline-worker"}}})),
    (rules.scalers, "ha", lambda all: drop(all, "Deployment", "paceline-worker")),
    (rules.keda, "ha", lambda all: find(all, "Service", "paceline-scheduler")["metadata"].update(namespace="other")),
    (rules.keda, "ha", lambda all: find(all, "Service", "paceline-scheduler")["spec"]["ports"][0].update(port=1)),
    (rules.keda, "ha", lambda all: find(all, "ScaledObject", "paceline-worker")["spec"].update(maxReplicaCount=7)),
    (rules.keda, "ha", lambda all: without(find(all, "ScaledObject", "paceline-worker")["spec"]["triggers"][0]["metadata"], "tokenFromEnv")),
    (rules.keda, "ha", lambda all: (scaler(all)["spec"].update(minReplicaCount=0), scaler(all)["spec"]["fallback"].update(replicas=0),
                                    scaler(all)["spec"]["triggers"][0]["metadata"].update(minWorkers="0"))),
]


SCHEMA_BREACHES = [
    ("base", lambda all: find(all, "Deployment", "paceline-worker")["spec"].update(replica=2)),
    ("base", lambda all: container(all).update(resources={"limits": {"cpu": ["1"]}})),
    ("base", lambda all: without(find(all, "Deployment", "paceline-worker")["spec"], "selector")),
    ("base", lambda all: find(all, "Deployment", "paceline-worker").update(apiVersion="apps/v0")),
    ("ha", lambda all: find(all, "ScaledObject", "paceline-worker")["spec"].update(pollingIntervall=10)),
    ("ha", lambda all: find(all, "ScaledObject", "paceline-worker")["spec"].update(maxReplicaCount="20")),
    ("ha", lambda all: find(all, "ScaledObject", "paceline-worker")["spec"]["triggers"][0]["metadata"].update(maxWorkers=20)),
    ("ha", lambda all: find(all, "ScaledObject", "paceline-worker").update(apiVersion="keda.sh/v1")),
]


def unnoticed(everything, keda):
    wrong = []
    for number, (rendering, breach) in enumerate(SCHEMA_BREACHES):
        broken = copy.deepcopy(everything[rendering])
        breach(broken)
        if not schemas.check(broken, keda):
            wrong.append(f"no schema noticed breach {number} of breaking.py")
    for number, (rule, rendering, breach) in enumerate(BREACHES):
        broken = copy.deepcopy(everything[rendering])
        breach(broken)
        if not list(rule(broken)):
            wrong.append(f"rule {rule.__name__} did not notice breach {number} of breaking.py")
    unbroken = {rule.__name__ for rule in rules.RULES} - {rule.__name__ for rule, _, _ in BREACHES}
    return wrong + [f"rule {name} is never broken in breaking.py" for name in sorted(unbroken)]
