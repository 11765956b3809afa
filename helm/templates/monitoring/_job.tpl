{{/*
Alerts and dashboard take what shares a namespace and a job for one installation: service, worker and, in sidecar
mode, the app's pods are therefore one job, named after the release.
*/}}
{{- define "token-broker.oneJob" }}
- targetLabel: job
  replacement: {{ include "token-broker.fullname" . | quote }}
{{- end }}
