{{/*
Rules of the NetworkPolicies: each names both whom it lets through and at which ports.
*/}}

{{/* Egress rules: dict of root and names of the destinations in `networkPolicy`. */}}
{{- define "token-broker.egress" -}}
{{- $policy := .root.Values.networkPolicy }}
{{- range $name := .names }}
{{- $destination := get $policy $name }}
- ports:
    {{- range $destination.ports }}
    - port: {{ . }}
      protocol: TCP
    {{- if eq $name "dns" }}
    - port: {{ . }}
      protocol: UDP
    {{- end }}
    {{- end }}
  to:
    {{- toYaml $destination.to | nindent 4 }}
{{- end }}
{{- end }}

{{/* Egress of service or worker: dict of root and component. */}}
{{- define "token-broker.runningEgress" -}}
{{- $names := list "dns" "database" "redis" "upstream" }}
{{- if .root.Values.tracing.endpoint }}{{ $names = append $names "otlp" }}{{ end }}
{{- if and (eq .component "service") (include "token-broker.asksCluster" .root) }}{{ $names = append $names "cluster" }}{{ end }}
{{- include "token-broker.egress" (dict "root" .root "names" $names) }}
{{- with .root.Values.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* One ingress rule: dict of root, port, peers, and whether the test's pod may come too. No peers: no rule. */}}
{{- define "token-broker.ingressRule" -}}
{{- if or .peers .tested }}
- ports:
    - port: {{ .port }}
      protocol: TCP
  from:
    {{- with .peers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- if .tested }}
    - podSelector:
        matchLabels:
          {{- include "token-broker.selectorLabels" (dict "root" .root "component" "test") | nindent 10 }}
    {{- end }}
{{- end }}
{{- end }}

{{/* Who may come in: dict of root and component. May be empty: then nobody. */}}
{{- define "token-broker.ingressRules" -}}
{{- $policy := .root.Values.networkPolicy }}
{{- $ports := .root.Values.ports }}
{{- $tested := .root.Values.tests.enabled }}
{{- if eq .component "service" }}
{{- $own := eq .root.Values.mode "deployment" }}
{{- if or $own .root.Values.sidecar.exposePublic }}
{{- include "token-broker.ingressRule" (dict "root" .root "port" $ports.public "peers" $policy.public "tested" (and $own $tested)) }}
{{- end }}
{{- if $own }}
{{- include "token-broker.ingressRule" (dict "root" .root "port" $ports.internal "peers" $policy.internal "tested" $tested) }}
{{- end }}
{{- with $policy.extraIngress }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- include "token-broker.ingressRule" (dict "root" .root "port" $ports.observe "peers" $policy.observe "tested" (and $tested (or (eq .component "worker") (eq .root.Values.mode "deployment")))) }}
{{- end }}
