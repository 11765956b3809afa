{{/*
The environment of a container. Values of `config` keep the setting's own name; the prefix is added here.
Secrets are never values: a variable X_FILE names the file that the secrets' volume holds.
*/}}

{{- define "token-broker.settingName" -}}
{{- if has . (list "CAL_API_URL" "CAL_OAUTH_CLIENT_ID" "X_CAL_SECRET_KEY") }}{{ . }}{{ else }}TOKEN_BROKER_{{ . }}{{ end }}
{{- end }}

{{/* What a role is told: dict of root and role ("serve", "work", "migrate"). */}}
{{- define "token-broker.env" -}}
{{- $root := .root }}
{{- $settings := dict }}
{{- if ne .role "migrate" }}
{{- $settings = include "token-broker.settings" . | fromYaml }}
{{- else }}
{{- range $name := list "LOG_LEVEL" "LOG_FORMAT" }}
{{- with get $root.Values.config $name }}{{ $_ := set $settings $name . }}{{ end }}
{{- end }}
{{- end }}
{{- range $name, $value := $settings }}
- name: {{ include "token-broker.settingName" $name }}
  value: {{ include "token-broker.text" $value | quote }}
{{- end }}
{{- range include "token-broker.secretsOf" . | fromJsonArray }}
- name: {{ include "token-broker.settingName" . }}_FILE
  value: /run/secrets/token-broker/{{ . }}
{{- end }}
{{- if and $root.Values.tracing.endpoint (ne .role "migrate") }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ $root.Values.tracing.endpoint | quote }}
{{- end }}
{{- end }}

{{/* `config`, and what the chart decides itself: where it listens and what it mounts. */}}
{{- define "token-broker.settings" -}}
{{- $values := .root.Values }}
{{- $settings := dict }}
{{- range $name, $value := $values.config }}
{{- if not (or (kindIs "invalid" $value) (eq (toString $value) "") (and (kindIs "slice" $value) (empty $value))) }}
{{- $_ := set $settings $name $value }}
{{- end }}
{{- end }}
{{- $_ := set $settings "OBSERVE_ADDRESS" (printf "%s:%v" $values.listenAddress $values.ports.observe) }}
{{- if $values.clients }}
{{- $_ := set $settings "CLIENTS_FILE" "/etc/token-broker/clients.toml" }}
{{- end }}
{{- if eq .role "serve" }}
{{- $sidecar := eq $values.mode "sidecar" }}
{{- $public := ternary "127.0.0.1" $values.listenAddress (and $sidecar (not $values.sidecar.exposePublic)) }}
{{- $_ := set $settings "PUBLIC_ADDRESS" (printf "%s:%v" $public $values.ports.public) }}
{{- $_ := set $settings "INTERNAL_ADDRESS" (printf "%s:%v" (ternary "127.0.0.1" $values.listenAddress $sidecar) $values.ports.internal) }}
{{- $_ := set $settings "WORKERS" $values.service.processes }}
{{- $settings = merge $settings (include "token-broker.callerSettings" .root | fromYaml) }}
{{- /* In a pod of its own nobody but the app's proxy reaches loopback, so what it forwards is believed. */}}
{{- if and $sidecar (not (hasKey $settings "TRUSTED_PROXIES")) }}
{{- $_ := set $settings "TRUSTED_PROXIES" "127.0.0.1/32" }}
{{- end }}
{{- end }}
{{- toYaml $settings }}
{{- end }}

{{/* The OAuth clients as the program's TOML file; their secrets are files of the secrets' volume. */}}
{{- define "token-broker.clientsFile" -}}
{{- range .Values.clients }}
[[clients]]
name = {{ .name | toJson }}
id = {{ .id | toJson }}
secret_file = {{ printf "/run/secrets/token-broker/clients/%s" .name | toJson }}
{{- with .apiUrl }}
api_url = {{ . | toJson }}
{{- end }}
{{- with .rate }}
rate = {{ . | toJson }}
{{- end }}
{{- if hasKey . "origins" }}
origins = {{ .origins | toJson }}
{{- end }}
{{ end }}
{{- end }}
