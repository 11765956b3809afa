"""The three Kubernetes versions that the chart is rendered for and validated against.

1.30 is the oldest, and the first that the chart's `kubeVersion` admits: a preStop hook sleeps
there without a shell, and an init container with `restartPolicy: Always` is a sidecar. 1.34 is the first
where both are stable. 1.37 is the newest that has schemas.
"""

KUBE_VERSIONS = ("1.30", "1.34", "1.37")
