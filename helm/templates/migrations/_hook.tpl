{{/*
Everything the migrations need comes and goes with them: on a first install hooks run before any object of the
release exists, so the Job depends on none of them. Lower weights are made first; all are removed after success.
*/}}
{{- define "token-broker.hook" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: {{ .weight | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}

{{/* The metadata of a migration hook: dict of root, weight and, if the Job's own, annotations. */}}
{{- define "token-broker.hookMetadata" -}}
{{- $name := printf "%s-migrate" (include "token-broker.fullname" .root) }}
{{- $annotations := merge (include "token-broker.hook" . | fromYaml) (default dict .annotations) }}
{{- include "token-broker.metadata" (dict "root" .root "component" "migrate" "name" $name "annotations" $annotations) }}
{{- end }}
