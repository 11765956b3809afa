{{/*
Secrets by reference, mounted as files. A projected volume without subPath: the kubelet replaces the files
when a Secret changes and the program reads them again, so a secret rotates without a restart.
*/}}

{{/* The settings a role needs as secrets (a JSON list): the program asks a role for no others. */}}
{{- define "token-broker.secretsOf" -}}
{{- $names := list "DATABASE_URL" }}
{{- if ne .role "migrate" }}
{{- $names = concat $names (list "REDIS_URL" "ENCRYPTION_KEYS" "FINGERPRINT_KEYS") }}
{{- if not .root.Values.clients }}{{ $names = append $names "X_CAL_SECRET_KEY" }}{{ end }}
{{- end }}
{{- if and (eq .role "serve") .root.Values.callers.apiKeys }}{{ $names = append $names "API_KEYS" }}{{ end }}
{{- if and (eq .role "work") .root.Values.config.WEBHOOK_URL }}{{ $names = append $names "WEBHOOK_SECRETS" }}{{ end }}
{{- toJson $names }}
{{- end }}

{{/* Those that service or worker needs (a JSON list). */}}
{{- define "token-broker.allSecrets" -}}
{{- $serve := include "token-broker.secretsOf" (dict "root" . "role" "serve") | fromJsonArray }}
{{- $work := include "token-broker.secretsOf" (dict "root" . "role" "work") | fromJsonArray }}
{{- concat $serve $work | uniq | toJson }}
{{- end }}

{{/* The Secret that stands for all of them. */}}
{{- define "token-broker.sharedSecret" -}}
{{- if .Values.externalSecret.enabled }}
{{- default (include "token-broker.fullname" .) .Values.externalSecret.name }}
{{- else }}
{{- .Values.secrets.existingSecret }}
{{- end }}
{{- end }}

{{/* Where one secret lies: dict of root and of, a map of existingSecret and key. Empty when nowhere. */}}
{{- define "token-broker.secretName" -}}
{{- default (include "token-broker.sharedSecret" .root) .of.existingSecret }}
{{- end }}

{{/* Which Secret and key the migrations' DSN is in: their own role's, or the app's. */}}
{{- define "token-broker.migrationSource" -}}
{{- $own := .Values.migrations.databaseUrl }}
{{- $app := .Values.secrets.DATABASE_URL }}
{{- if $own.existingSecret }}
{{- dict "name" $own.existingSecret "key" (default $app.key $own.key) | toJson }}
{{- else if and .Values.externalSecret.enabled (not $app.existingSecret) }}
{{- dict "name" (include "token-broker.hookSecret" .) "key" "DATABASE_URL" | toJson }}
{{- else }}
{{- dict "name" (include "token-broker.secretName" (dict "root" . "of" $app)) "key" (default $app.key $own.key) | toJson }}
{{- end }}
{{- end }}

{{- define "token-broker.hookSecret" -}}
{{- printf "%s-migrate" (include "token-broker.fullname" .) }}
{{- end }}

{{/* One source of a projected volume: dict of name, key and path. */}}
{{- define "token-broker.source" -}}
- secret:
    name: {{ .name | quote }}
    items:
      - key: {{ .key | quote }}
        path: {{ .path | quote }}
{{- end }}

{{/*
The volumes of a role: dict of root and role. The files are 0444 because the user is not their owner, in the
app's pod no fsGroup is ours to set, and nobody but the broker's container has this volume mounted.
*/}}
{{- define "token-broker.volumes" -}}
{{- $root := .root }}
- name: token-broker-tmp
  emptyDir:
    medium: Memory
    sizeLimit: {{ $root.Values.tmp.sizeLimit }}
- name: token-broker-secrets
  projected:
    defaultMode: 0444
    sources:
      {{- if eq .role "migrate" }}
      {{- $from := include "token-broker.migrationSource" $root | fromJson }}
      {{- include "token-broker.source" (dict "name" $from.name "key" $from.key "path" "DATABASE_URL") | nindent 6 }}
      {{- else }}
      {{- range include "token-broker.secretsOf" . | fromJsonArray }}
      {{- $of := get $root.Values.secrets . }}
      {{- $name := include "token-broker.secretName" (dict "root" $root "of" $of) }}
      {{- include "token-broker.source" (dict "name" $name "key" $of.key "path" .) | nindent 6 }}
      {{- end }}
      {{- range $root.Values.clients }}
      {{- $name := include "token-broker.secretName" (dict "root" $root "of" .secret) }}
      {{- include "token-broker.source" (dict "name" $name "key" .secret.key "path" (printf "clients/%s" .name)) | nindent 6 }}
      {{- end }}
      {{- end }}
{{- if and $root.Values.clients (ne .role "migrate") }}
- name: token-broker-clients
  configMap:
    name: {{ printf "%s-clients" (include "token-broker.fullname" $root) | quote }}
    defaultMode: 0444
{{- end }}
{{- if eq .role "serve" }}
{{- include "token-broker.callerVolumes" $root }}
{{- end }}
{{- end }}

{{- define "token-broker.volumeMounts" -}}
- name: token-broker-tmp
  mountPath: /tmp
- name: token-broker-secrets
  mountPath: /run/secrets/token-broker
  readOnly: true
{{- if and .root.Values.clients (ne .role "migrate") }}
- name: token-broker-clients
  mountPath: /etc/token-broker
  readOnly: true
{{- end }}
{{- if eq .role "serve" }}
{{- include "token-broker.callerMounts" .root }}
{{- end }}
{{- end }}
