{{/*
What the chart's own pods have in common: dict of root, component, role and section, as for the container.
*/}}

{{/* The pod's own part of "restricted", where it runs, and what it is allowed. */}}
{{- define "token-broker.podSpec" -}}
{{- $options := include "token-broker.podOptions" . | fromYaml }}
{{- $values := .root.Values }}
serviceAccountName: {{ .serviceAccount | default (include "token-broker.serviceAccountName" .root) | quote }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- if not (kindIs "invalid" $options.hostUsers) }}
hostUsers: {{ $options.hostUsers }}
{{- end }}
{{- with $values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml $values.podSecurityContext | nindent 2 }}
{{- range $key := list "priorityClassName" "runtimeClassName" "schedulerName" "dnsPolicy" }}
{{- with get $options $key }}
{{ $key }}: {{ . | quote }}
{{- end }}
{{- end }}
{{- range $key := list "dnsConfig" "hostAliases" "nodeSelector" "tolerations" }}
{{- with get $options $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/* Over zones and nodes: `pod.spread` says how strictly, own constraints or affinity take its place. */}}
{{- define "token-broker.spread" -}}
{{- $options := include "token-broker.podOptions" . | fromYaml }}
{{- $labels := include "token-broker.selectorLabels" . }}
{{- $hard := eq $options.spread "hard" }}
{{- if $options.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml $options.topologySpreadConstraints | nindent 2 }}
{{- else if ne $options.spread "none" }}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: {{ ternary "DoNotSchedule" "ScheduleAnyway" (and $hard (eq . "kubernetes.io/hostname")) }}
    # Counts the pods of one revision, or a rollout would be spread around the pods it replaces.
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- $labels | nindent 8 }}
  {{- end }}
{{- end }}
{{- if $options.affinity }}
affinity:
  {{- toYaml $options.affinity | nindent 2 }}
{{- else if eq $options.spread "soft" }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- $labels | nindent 14 }}
{{- end }}
{{- end }}

{{/* Labels and annotations of a pod; the clients' file has no watcher, so a change of it replaces the pods. */}}
{{- define "token-broker.podMetadata" -}}
{{- $options := include "token-broker.podOptions" . | fromYaml }}
labels:
  {{- $fixed := merge (dict "app.kubernetes.io/part-of" "token-broker") (include "token-broker.selectorLabels" . | fromYaml) }}
  {{- merge $fixed (default dict $options.labels) (default dict .root.Values.commonLabels) | toYaml | nindent 2 }}
{{- $annotations := merge (deepCopy (default dict $options.annotations)) (include "token-broker.checksums" .root | fromYaml) (default dict .root.Values.commonAnnotations) }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "token-broker.checksums" -}}
{{- if .Values.clients }}
checksum/clients: {{ include "token-broker.clientsFile" . | sha256sum }}
{{- end }}
{{- end }}

{{/* A Deployment of the service or the worker: dict of root, component, role, section. */}}
{{- define "token-broker.deployment" -}}
{{- $values := .root.Values }}
{{- $options := include "token-broker.podOptions" . | fromYaml }}
{{- $name := include "token-broker.componentName" . }}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "token-broker.metadata" (merge (dict "name" $name "annotations" .section.annotations) .) | nindent 2 }}
spec:
  {{- if not (or .scaled (kindIs "invalid" .section.replicas)) }}
  replicas: {{ .section.replicas | int64 }}
  {{- end }}
  revisionHistoryLimit: {{ $values.revisionHistoryLimit | int64 }}
  strategy:
    {{- /* Kubernetes refuses the default's bounds beside another type. */}}
    {{- $strategy := ternary .section.strategy (omit .section.strategy "rollingUpdate") (eq .section.strategy.type "RollingUpdate") }}
    {{- toYaml $strategy | nindent 4 }}
  selector:
    matchLabels:
      {{- include "token-broker.selectorLabels" . | nindent 6 }}
  template:
    metadata:
      {{- include "token-broker.podMetadata" . | trim | nindent 6 }}
    spec:
      {{- include "token-broker.podSpec" . | trim | nindent 6 }}
      {{- with include "token-broker.spread" . | trim }}
      {{- . | nindent 6 }}
      {{- end }}
      # GRACE is what the program has after SIGTERM; the sleep before it counts against the same clock.
      terminationGracePeriodSeconds: {{ add (include "token-broker.wholeSeconds" (dict "root" .root "name" "GRACE")) (include "token-broker.preStopSeconds" .) }}
      {{- with $options.initContainers }}
      initContainers:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - {{ include "token-broker.container" . | trim | nindent 10 | trim }}
        {{- with $options.extraContainers }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      volumes:
        {{- include "token-broker.volumes" . | trim | nindent 8 }}
        {{- with $options.extraVolumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end }}

{{/* How many pods a section has at least; of an autoscaler of one's own, for which `replicas` is null, two are expected. */}}
{{- define "token-broker.leastReplicas" -}}
{{- if .autoscaling.enabled }}{{ .autoscaling.minReplicas }}
{{- else if dig "keda" "enabled" false . }}{{ .keda.minReplicas }}
{{- else if kindIs "invalid" .replicas }}2
{{- else }}{{ .replicas }}
{{- end }}
{{- end }}
