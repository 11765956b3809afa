{{/*
What can be meant and mostly is not: said in the notes after an installation, never refused.
*/}}
{{- define "token-broker.warnings" -}}
{{- $published := or .Values.ingress.enabled .Values.httpRoute.enabled (ne .Values.publicService.type "ClusterIP") }}
{{- $own := eq .Values.mode "deployment" }}
{{- if and $own (not .Values.config.TRUSTED_PROXIES) }}
  config.TRUSTED_PROXIES is empty: every browser looks like the proxy in front, so one that presents unknown tokens uses up the limit of all (ADDRESS_FAILURES).
{{- end }}
{{- if and $own .Values.networkPolicy.enabled (not .Values.networkPolicy.public) }}
  networkPolicy.public is empty: no browser reaches the public listener. Name your ingress controller's pods.
{{- end }}
{{- if and $own .Values.networkPolicy.enabled (not .Values.networkPolicy.internal) }}
  networkPolicy.internal is empty: none of your services reaches the internal listener. Name their pods.
{{- end }}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.observe) (or .Values.monitoring.serviceMonitor.enabled .Values.monitoring.podMonitor.enabled) }}
  networkPolicy.observe is empty: Prometheus cannot scrape what it is told to. Name its namespace.
{{- end }}
{{- if not .Values.networkPolicy.enabled }}
  networkPolicy.enabled is false: whatever runs in the cluster reaches the internal listener, which hands out tokens to API keys.
{{- end }}
{{- if not .Values.image.digest }}
  image.digest is empty: a tag may be moved to another image. Name the digest in production.
{{- end }}
{{- if and $published (ne .Values.publicService.type "ClusterIP") }}
  publicService.type is {{ .Values.publicService.type }}: put a proxy that limits header and body times in front; the service has no deadline for slow senders.
{{- end }}
{{- if not .Values.migrations.enabled }}
  migrations.enabled is false: run `token-broker migrate` of this release before its pods start.
{{- end }}
{{- range $name := ternary (list "service" "worker") (list "worker") $own }}
{{- if lt (include "token-broker.leastReplicas" (get $.Values $name) | int) 2 }}
  {{ $name }} has one pod: nothing answers while its node is drained.
{{- end }}
{{- end }}
{{- if and .Values.worker.keda.enabled (not .Values.worker.keda.query) (not (or .Values.monitoring.serviceMonitor.enabled .Values.monitoring.podMonitor.enabled)) }}
  worker.keda.query is empty, and no monitor of this chart is enabled: it asks for job="{{ include "token-broker.fullname" . }}", which your own scrape configuration must write, or nothing is ever scaled.
{{- end }}
{{- $monitors := .Values.monitoring }}
{{- if and (not $own) (ne $monitors.serviceMonitor.enabled $monitors.podMonitor.enabled) }}
  monitoring.{{ ternary "podMonitor" "serviceMonitor" $monitors.serviceMonitor.enabled }}.enabled is false: in sidecar mode the ServiceMonitor scrapes the worker and the PodMonitor your app's pods, and an alert fires for those that are missing.
{{- end }}
{{- $limit := dig "limits" "cpu" "" (default dict .Values.service.resources) | toString }}
{{- if and (gt (int .Values.service.processes) 1) $limit (not (hasSuffix "m" $limit)) (lt ($limit | float64) (.Values.service.processes | float64)) }}
  service.resources.limits.cpu is {{ $limit }} for {{ .Values.service.processes }} processes: give them about one each.
{{- end }}
{{- if .Values.config.ALLOW_INSECURE_UPSTREAM }}
  config.ALLOW_INSECURE_UPSTREAM is true: the client's secret may travel in the clear.
{{- end }}
{{- end }}
