{{/*
Rules of the NetworkPolicies. A destination without addresses is every address on its ports.
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
  {{- with $destination.to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Egress of service and worker. */}}
{{- define "token-broker.runningEgress" -}}
{{- $names := list "dns" "database" "redis" "upstream" }}
{{- if .Values.tracing.endpoint }}{{ $names = append $names "otlp" }}{{ end }}
{{- include "token-broker.egress" (dict "root" . "names" $names) }}
{{- with .Values.networkPolicy.extraEgress }}
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
