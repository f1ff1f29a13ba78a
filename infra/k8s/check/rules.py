"""The rules of the house for manifests. Each rule is a function over all objects of one rendering, and yields what is wrong."""

import tomllib

# Servers of others that write beside their data folder, so their root cannot be read-only.
WRITES_BESIDE_ITS_DATA = {
    "rabbitmq": "its start writes below /etc/rabbitmq",
    "elasticsearch": "its start writes its keystore into config/, and its logs",
}
# Seconds that a worker's pod may live after the worker's grace, and the grace after the longest timeout of a handler.
POD_MARGIN, HANDLER_MARGIN = 5, 5
# A worker that computes answers late: so many seconds it may take to, and so many answers it may owe.
LIVENESS_TIMEOUT, LIVENESS_FAILURES = 10, 6
# The ports that roles must reach, wherever the services run: those of docs/clusters.md with and without TLS, those of Redis' sentinels, and
# those of DNS, which is at 5353 behind the Service of some clusters, and on the node itself in others.
SERVICE_PORTS = {(port, "TCP") for port in (5671, 5672, 6379, 26379, 9200)}
DNS_PORTS = {(port, protocol) for port in (53, 5353) for protocol in ("UDP", "TCP")}


def of_kind(objects, *kinds):
    return [found for found in objects if found["kind"] in kinds]


def workloads(objects):
    return of_kind(objects, "Deployment", "StatefulSet", "DaemonSet", "Job")


def pods(objects):
    for found in workloads(objects):
        yield f"{found['kind']} {found['metadata']['name']}", found["spec"]["template"]


def containers(objects):
    for place, pod in pods(objects):
        for container in pod["spec"].get("initContainers", []) + pod["spec"]["containers"]:
            yield f"{place}, container {container['name']}", pod, container


def probes(objects):
    for place, _, container in containers(objects):
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if probe not in container:
                yield f"{place}: no {probe}"


def liveness(objects):
    """A worker's one thread does the jobs and answers, so it is not to be killed for computing."""
    for place, _, container in containers(objects):
        probe = container.get("livenessProbe", {})
        if container["name"] == "worker" and (
            probe.get("timeoutSeconds", 1) < LIVENESS_TIMEOUT or probe.get("failureThreshold", 3) < LIVENESS_FAILURES
        ):
            yield f"{place}: its livenessProbe kills a worker that computes: {LIVENESS_TIMEOUT} s and {LIVENESS_FAILURES} failures are the least"


def resources(objects):
    for place, _, container in containers(objects):
        given = container.get("resources", {})
        for side, what in (("requests", "cpu"), ("requests", "memory"), ("limits", "cpu"), ("limits", "memory")):
            if what not in given.get(side, {}):
                yield f"{place}: no {what} in its {side}"


def not_root(objects):
    for place, pod in pods(objects):
        security = pod["spec"].get("securityContext", {})
        if security.get("runAsNonRoot") is not True or not security.get("runAsUser"):
            yield f"{place}: runAsNonRoot and a runAsUser are missing"


def seccomp(objects):
    for place, pod in pods(objects):
        if pod["spec"].get("securityContext", {}).get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{place}: seccompProfile is not RuntimeDefault"


def read_only_root(objects):
    for place, _, container in containers(objects):
        is_read_only = container.get("securityContext", {}).get("readOnlyRootFilesystem") is True
        if not is_read_only and container["name"] not in WRITES_BESIDE_ITS_DATA:
            yield f"{place}: its root is not read-only"


def no_privileges(objects):
    for place, _, container in containers(objects):
        security = container.get("securityContext", {})
        if security.get("allowPrivilegeEscalation") is not False:
            yield f"{place}: allowPrivilegeEscalation is not false"
        if security.get("capabilities") != {"drop": ["ALL"]}:
            yield f"{place}: it does not drop all capabilities"


def no_account_token(objects):
    for place, pod in pods(objects):
        if pod["spec"].get("automountServiceAccountToken") is not False:
            yield f"{place}: it gets a token of Kubernetes that it does not need"


def no_service_variables(objects):
    for place, pod in pods(objects):
        if pod["spec"].get("enableServiceLinks") is not False:
            yield f"{place}: enableServiceLinks sets PACELINE_… variables that are no settings, so the role ends at its start"


def fixed_images(objects):
    for place, _, container in containers(objects):
        tag = container["image"].rpartition("/")[2].partition(":")[2]
        if tag in ("", "latest"):
            yield f"{place}: image {container['image']} has no version"


def namespaces(objects):
    """Each object says its namespace, so that `kubectl apply` puts none into another one; and a scaler is beside what it scales."""
    for found in objects:
        if not found["metadata"].get("namespace"):
            yield f"{found['kind']} {found['metadata']['name']}: it has no namespace, so it goes wherever kubectl is"
    places = {(one["metadata"]["name"], one["metadata"].get("namespace")) for one in of_kind(objects, "Deployment")}
    for found in of_kind(objects, "HorizontalPodAutoscaler", "ScaledObject"):
        target, place = found["spec"]["scaleTargetRef"]["name"], found["metadata"].get("namespace")
        if (target, place) not in places:
            yield f"{found['kind']} {found['metadata']['name']}: there is no Deployment {target} in its namespace {place}"


def disruption(objects):
    selected = [found["spec"]["selector"]["matchLabels"] for found in of_kind(objects, "PodDisruptionBudget")]
    for found in of_kind(objects, "Deployment"):
        labels = found["spec"]["template"]["metadata"]["labels"]
        if not any(wanted.items() <= labels.items() for wanted in selected):
            yield f"Deployment {found['metadata']['name']}: no PodDisruptionBudget selects it"
    for found in of_kind(objects, "PodDisruptionBudget"):
        if found["spec"].get("unhealthyPodEvictionPolicy") != "AlwaysAllow":
            yield f"PodDisruptionBudget {found['metadata']['name']}: pods that are not ready hold up the drain of their node for ever"


def spread(objects):
    for found in of_kind(objects, "Deployment"):
        keys = {rule["topologyKey"] for rule in found["spec"]["template"]["spec"].get("topologySpreadConstraints", [])}
        if "kubernetes.io/hostname" not in keys:
            yield f"Deployment {found['metadata']['name']}: it is not spread over nodes"


def network(objects):
    """Each pod is under a policy for what comes in, and the roles under one that forbids everything that no other allows."""
    policies = of_kind(objects, "NetworkPolicy")
    for place, pod in pods(objects):
        labels = pod["metadata"]["labels"]
        over = [policy for policy in policies if selects(policy, labels)]
        if not any("Ingress" in policy["spec"]["policyTypes"] for policy in over):
            yield f"{place}: no NetworkPolicy says who may reach it"
        nothing = [policy for policy in over if not policy["spec"].get("ingress") and not policy["spec"].get("egress")]
        if is_role(labels) and not nothing:
            yield f"{place}: no NetworkPolicy forbids the rest"
        for port, protocol in sorted((SERVICE_PORTS | DNS_PORTS) - reached_anywhere(over)) if is_role(labels) else []:
            yield f"{place}: no NetworkPolicy lets it reach port {port} ({protocol}) of services and names"
    yield from producer_reached(objects)


def reached_anywhere(policies):
    rules = [rule for policy in policies for rule in policy["spec"].get("egress", []) if not rule.get("to")]
    return {(port["port"], port.get("protocol", "TCP")) for rule in rules for port in rule.get("ports", [])}


def producer_reached(objects):
    """Ranges go from schedulers to producers: out of the one, and into the other."""
    policies = of_kind(objects, "NetworkPolicy")
    labels = {pod["metadata"]["labels"]["app.kubernetes.io/name"]: pod["metadata"]["labels"] for _, pod in pods(objects)}
    ports = {one["containerPort"] for _, _, container in containers(objects) if container["name"] == "producer"
             for one in container["ports"] if one["name"] == "grpc"}
    for mine, direction, side, other in (("scheduler", "egress", "to", "producer"), ("producer", "ingress", "from", "scheduler")):
        mine_labels, other_labels = labels[f"paceline-{mine}"], labels[f"paceline-{other}"]
        rules = [rule for policy in policies if selects(policy, mine_labels) for rule in policy["spec"].get(direction, [])]
        met = [rule for rule in rules if any(names(peer, other_labels) for peer in rule.get(side, []))]
        if not any(port["port"] in ports | {"grpc"} for rule in met for port in rule.get("ports", [])):
            yield f"NetworkPolicy: {mine}s have no {direction} {side} {other}s at their gRPC port"


def names(peer, labels):
    wanted = peer.get("podSelector", {}).get("matchLabels")
    return wanted is not None and "namespaceSelector" not in peer and wanted.items() <= labels.items()


def selects(policy, labels):
    return policy["spec"]["podSelector"].get("matchLabels", {}).items() <= labels.items()


def is_role(labels):
    return labels.get("app.kubernetes.io/part-of") == "paceline"


def no_secret_values(objects):
    """Secrets are named; their values are nobody's file."""
    for found in of_kind(objects, "Secret"):
        yield f"Secret {found['metadata']['name']}: its values would be in a file"
    for place, _, container in containers(objects):
        for variable in container.get("env", []):
            name = variable["name"].upper()
            is_secret = any(word in name for word in ("TOKEN", "PASSWORD", "SECRET")) or name.startswith("PACELINE_") and name.endswith("_URL")
            if is_secret and "value" in variable:
                yield f"{place}: {variable['name']} has its value here, and not from a Secret"


def ports(objects):
    """What a Service or a probe names is there."""
    pods_of = [(pod["metadata"]["labels"], pod) for _, pod in pods(objects)]
    for found in of_kind(objects, "Service"):
        name, wanted = found["metadata"]["name"], found["spec"]["selector"]
        behind = [pod for labels, pod in pods_of if wanted.items() <= labels.items()]
        if not behind:
            yield f"Service {name}: it selects no pod"
        for pod, port in ((pod, port) for pod in behind for port in found["spec"]["ports"]):
            named = {one["name"] for container in pod["spec"]["containers"] for one in container.get("ports", [])}
            if port["targetPort"] not in named:
                yield f"Service {name}: its pods have no port {port['targetPort']}"
    for place, _, container in containers(objects):
        named = {one["name"] for one in container.get("ports", [])}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            for how in ("httpGet", "tcpSocket"):
                port = container.get(probe, {}).get(how, {}).get("port", "none")
                if port != "none" and port not in named:
                    yield f"{place}: its {probe} asks port {port}, which it does not have"


def producers_seen(objects):
    """The scheduler must see the address of each producer."""
    for found in of_kind(objects, "Service"):
        if found["metadata"]["name"] == "paceline-producer" and found["spec"].get("clusterIP") != "None":
            yield "Service paceline-producer: it is not headless, so the scheduler sees one producer"


def drain(objects):
    """A worker that leaves finishes what it holds, before its pod is killed."""
    timeout = max(longest_timeout(objects), default=0)
    for place, pod, container in containers(objects):
        arguments = container.get("args", [])
        if arguments[:1] != ["worker"]:
            continue
        grace = float(arguments[arguments.index("--grace") + 1]) if "--grace" in arguments else 20
        if grace < timeout + HANDLER_MARGIN:
            yield f"{place}: a handler may take {timeout:.0f} s, so --grace {grace:.0f} is too short to finish it"
        if pod["spec"].get("terminationGracePeriodSeconds", 30) < grace + POD_MARGIN:
            yield f"{place}: its pod is killed before the worker's grace of {grace:.0f} s is over"


def longest_timeout(objects):
    for found in of_kind(objects, "ConfigMap"):
        if "paceline.toml" in found.get("data", {}):
            settings = tomllib.loads(found["data"]["paceline.toml"])
            yield from (queue.get("timeout_ms", 30_000) / 1_000 for queue in settings.get("queues", {}).values())


def scalers(objects):
    """One scaler says how many, and nobody else does."""
    seen = {}
    for found in of_kind(objects, "HorizontalPodAutoscaler", "ScaledObject"):
        target = found["spec"]["scaleTargetRef"]["name"]
        if target in seen:
            yield f"{found['kind']} and {seen[target]} both scale {target}: take one of components/keda and components/hpa"
        seen[target] = found["kind"]
        deployments = [one for one in of_kind(objects, "Deployment") if one["metadata"]["name"] == target]
        if not deployments:
            yield f"{found['kind']}: there is no Deployment {target}"
        if any("replicas" in one["spec"] for one in deployments):
            yield f"{found['kind']}: Deployment {target} has replicas, so each rollout sets them back"


def keda(objects):
    """KEDA finds the scheduler, asks for what is there, and can show a token."""
    services = {(one["metadata"]["name"], one["metadata"]["namespace"]): one for one in of_kind(objects, "Service")}
    for found in of_kind(objects, "ScaledObject"):
        for trigger in found["spec"]["triggers"]:
            metadata = trigger["metadata"]
            host, _, port = metadata["scalerAddress"].partition(":")
            service = services.get(tuple(host.split(".")[:2]))
            if service is None or int(port) not in [one["port"] for one in service["spec"]["ports"]]:
                yield f"ScaledObject: there is no Service at {metadata['scalerAddress']}"
            variables = {one["name"] for _, _, container in containers(objects) if container["name"] == "worker" for one in container["env"]}
            if metadata.get("tokenFromEnv") not in variables:
                yield "ScaledObject: tokenFromEnv names no variable of the worker"
            bounds = str(found["spec"]["minReplicaCount"]), str(found["spec"]["maxReplicaCount"])
            if (metadata.get("minWorkers"), metadata.get("maxWorkers")) != bounds:
                yield "ScaledObject: minWorkers and maxWorkers are not its minReplicaCount and maxReplicaCount"
        if found["spec"]["minReplicaCount"] == 0 and found["spec"].get("fallback", {}).get("replicas", 1) == 0:
            yield "ScaledObject: with minReplicaCount 0 its fallback of 0 replicas makes no worker when the number is not known: say at least 1, or leave it out"


RULES = [
    probes, liveness, resources, not_root, seccomp, read_only_root, no_privileges, no_account_token, no_service_variables, fixed_images,
    namespaces, disruption, spread, network, no_secret_values, ports, producers_seen, drain, scalers, keda,
]


def check(objects):
    return [line for rule in RULES for line in rule(objects)]
