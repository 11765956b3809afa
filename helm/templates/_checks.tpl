{{/*
What the schema cannot say: values that do not fit together. Each check writes one line for each problem, with
the value's name in front; all of them are said at once.
*/}}

{{- define "token-broker.checks" -}}
{{- range list "checkNames" "checkImage" "checkChain" "checkUpstream" "checkClients" "checkSecrets" "checkExternalSecret" "checkCallers" "checkEnv" "checkPods" "checkPorts" "checkScaling" "checkMode" "checkPublishing" "checkMonitoring" }}
{{ include (printf "token-broker.%s" .) $ | trim }}
{{- end }}
{{- end }}

{{/* The names of Services come from the release's, an alias or an override, and are the strictest of all names. */}}
{{- define "token-broker.checkNames" -}}
{{- $name := include "token-broker.fullname" . }}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) }}
fullnameOverride: is needed, because {{ $name | quote }} cannot be the beginning of a Service's name: small letters, digits and dashes, and first a letter
{{- end }}
{{- end }}

{{- define "token-broker.checkImage" -}}
{{- if not .Values.image.repository }}
image.repository: is missing; build the image from the Dockerfile, push it, and name where (example: registry.example.com/token-broker)
{{- end }}
{{- end }}

{{/* The program would not start either; here it is known before anything is installed. */}}
{{- define "token-broker.checkUpstream" -}}
{{- $config := .Values.config }}
{{- if gt (include "token-broker.seconds" (default 0 $config.SUPERSEDED_WINDOW) | float64) 604800.0 }}
config.SUPERSEDED_WINDOW: must be at most 7d; it is {{ include "token-broker.text" $config.SUPERSEDED_WINDOW }}
{{- end }}
{{- if and $config.EVENTS_KEPT (lt (include "token-broker.seconds" $config.EVENTS_KEPT | float64) 86400.0) }}
config.EVENTS_KEPT: must be at least 1d; it is {{ include "token-broker.text" $config.EVENTS_KEPT }}
{{- end }}
{{- if and (hasPrefix "http://" (default "" $config.WEBHOOK_URL)) (not $config.ALLOW_INSECURE_WEBHOOK) (not (regexMatch "^http://(localhost|127\\.|\\[::1\\])" $config.WEBHOOK_URL)) }}
config.WEBHOOK_URL: must be https, because it says what happens to your users; or say config.ALLOW_INSECURE_WEBHOOK: true
{{- end }}
{{- $urls := dict "config.CAL_API_URL" $config.CAL_API_URL }}
{{- range $place, $client := .Values.clients }}{{ $_ := set $urls (printf "clients[%d].apiUrl" $place) (default "" $client.apiUrl) }}{{ end }}
{{- range $name, $url := $urls }}
{{- if and (hasPrefix "http://" $url) (not $config.ALLOW_INSECURE_UPSTREAM) (not (regexMatch "^http://(localhost|127\\.|\\[::1\\])" $url)) }}
{{ $name }}: must be https, because the client's secret goes there; or say config.ALLOW_INSECURE_UPSTREAM: true
{{- end }}
{{- end }}
{{- end }}

{{- define "token-broker.checkClients" -}}
{{- $one := .Values.config.CAL_OAUTH_CLIENT_ID }}
{{- if and $one .Values.clients }}
config.CAL_OAUTH_CLIENT_ID: is not used with clients; make it one of them
{{- else if not (or $one .Values.clients) }}
config.CAL_OAUTH_CLIENT_ID: is missing; set it, or clients for several (example: clxyz0123456789)
{{- end }}
{{- $names := list }}
{{- range $place, $client := .Values.clients }}
{{- if has $client.name $names }}
clients[{{ $place }}].name: {{ $client.name }} stands in the list twice
{{- end }}
{{- $names = append $names $client.name }}
{{- end }}
{{- end }}

{{/* Every secret that some role needs must lie somewhere. */}}
{{- define "token-broker.checkSecrets" -}}
{{- $root := . }}
{{- if not (include "token-broker.sharedSecret" .) }}
{{- $names := include "token-broker.allSecrets" . | fromJsonArray }}
{{- $homeless := list }}
{{- range $names }}
{{- if not (get $root.Values.secrets .).existingSecret }}{{ $homeless = append $homeless . }}{{ end }}
{{- end }}
{{- if eq (len $homeless) (len $names) }}
secrets.existingSecret: is missing; name the Secret that holds {{ join ", " $names }}
{{- else }}
{{- range $homeless }}
secrets.{{ . }}.existingSecret: is missing; name the Secret that holds it, or one for all in secrets.existingSecret
{{- end }}
{{- end }}
{{- range $place, $client := .Values.clients }}
{{- if not $client.secret.existingSecret }}
clients[{{ $place }}].secret.existingSecret: is missing; name the Secret that holds {{ $client.secret.key }}, or one for all in secrets.existingSecret
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.externalSecret.enabled .Values.secrets.existingSecret }}
secrets.existingSecret: cannot be used with externalSecret.enabled, which makes the Secret
{{- end }}
{{- end }}

{{- define "token-broker.checkExternalSecret" -}}
{{- $root := . }}
{{- with .Values.externalSecret }}
{{- if .enabled }}
{{- if not .secretStoreRef.name }}
externalSecret.secretStoreRef.name: is missing; name the store to ask
{{- end }}
{{- $refs := .remoteRefs }}
{{- range include "token-broker.allSecrets" $root | fromJsonArray }}
{{- if not (or (get $root.Values.secrets .).existingSecret (hasKey $refs .)) }}
externalSecret.remoteRefs.{{ . }}: is missing; say where the store has it (example: {key: broker/{{ lower . | replace "_" "-" }}})
{{- end }}
{{- end }}
{{- $asked := keys (omit $root.Values.secrets "existingSecret") }}
{{- range $root.Values.clients }}{{ $asked = append $asked .secret.key }}{{ end }}
{{- range $name, $_ := $refs }}
{{- if not (has $name $asked) }}
externalSecret.remoteRefs.{{ $name }}: is asked for by nothing; it must be a secret of the broker or the secret.key of a client
{{- end }}
{{- end }}
{{- range $place, $client := $root.Values.clients }}
{{- if not (or $client.secret.existingSecret (hasKey $refs $client.secret.key)) }}
externalSecret.remoteRefs.{{ $client.secret.key }}: is missing, and clients[{{ $place }}].secret asks for it
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* A setting of the program has one place: two would contradict each other, and a secret would be seen. */}}
{{- define "token-broker.checkEnv" -}}
{{- $values := .Values }}
{{- $taken := list "CAL_API_URL" "CAL_OAUTH_CLIENT_ID" "X_CAL_SECRET_KEY" "X_CAL_SECRET_KEY_FILE" }}
{{- if $values.tracing.endpoint }}{{ $taken = append $taken "OTEL_EXPORTER_OTLP_ENDPOINT" }}{{ end }}
{{- range $section := list "pod" "service.pod" "worker.pod" "migrations.pod" "tests.pod" }}
{{- $options := $values }}
{{- range splitList "." $section }}{{ $options = get $options . }}{{ end }}
{{- range $place, $variable := $options.extraEnv }}
{{- if or (hasPrefix "TOKEN_BROKER_" $variable.name) (has $variable.name $taken) }}
{{ $section }}.extraEnv[{{ $place }}]: {{ $variable.name }} is set by the chart; use config for a setting, secrets for a secret, tracing for traces
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The options of `pod` are for whom they concern; in the section of one kind of pod each must concern it. */}}
{{- define "token-broker.checkPods" -}}
{{- $values := .Values }}
{{- $many := list "spread" "topologySpreadConstraints" "extraContainers" }}
{{- $inside := list "extraEnv" "extraEnvFrom" "extraVolumes" "extraVolumeMounts" }}
{{- $idle := dict "migrations" $many "tests" (concat $many $inside (list "initContainers")) }}
{{- if eq $values.mode "sidecar" }}
{{- $_ := set $idle "service" (without (keys $values.pod) "extraEnv" "extraEnvFrom" "extraVolumes" "extraVolumeMounts" | sortAlpha) }}
{{- end }}
{{- range $section, $names := $idle }}
{{- range $names }}
{{- if hasKey (get $values $section).pod . }}
{{ $section }}.pod.{{ . }}: has no effect {{ ternary "in sidecar mode, where it is for the app's own Deployment to say" "on this pod" (eq $section "service") }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "token-broker.checkPorts" -}}
{{- $seen := dict }}
{{- range $name := list "public" "internal" "observe" }}
{{- $port := get $.Values.ports $name | toString }}
{{- if hasKey $seen $port }}
ports.{{ $name }}: {{ $port }} is ports.{{ get $seen $port }} already
{{- end }}
{{- $_ := set $seen $port $name }}
{{- end }}
{{- end }}

{{- define "token-broker.checkScaling" -}}
{{- if and .Values.worker.keda.enabled .Values.worker.autoscaling.enabled }}
worker.keda.enabled: cannot be used with worker.autoscaling.enabled; two autoscalers would pull one Deployment both ways
{{- end }}
{{- if and .Values.worker.keda.enabled (not .Values.worker.keda.serverAddress) }}
worker.keda.serverAddress: is missing; name your Prometheus (example: http://prometheus-operated.monitoring:9090)
{{- end }}
{{- range $name, $scaling := dict "service.autoscaling" .Values.service.autoscaling "worker.autoscaling" .Values.worker.autoscaling "worker.keda" .Values.worker.keda }}
{{- if and $scaling.enabled (lt (int $scaling.maxReplicas) (int $scaling.minReplicas)) }}
{{ $name }}.maxReplicas: must be at least {{ $name }}.minReplicas ({{ $scaling.minReplicas }}); it is {{ $scaling.maxReplicas }}
{{- end }}
{{- end }}
{{- range $name := list "service" "worker" }}
{{- $section := get $.Values $name }}
{{- $least := include "token-broker.leastReplicas" $section | int }}
{{- $budget := $section.podDisruptionBudget }}
{{- $gone := include "token-broker.orNothing" $budget.maxUnavailable }}
{{- $left := include "token-broker.orNothing" $budget.minAvailable }}
{{- if and $budget.enabled (ge $least 2) }}
{{- if has $gone (list "0" "0%") }}
{{ $name }}.podDisruptionBudget.maxUnavailable: must be at least 1, or no node can be drained
{{- else if not (or $gone $left) }}
{{ $name }}.podDisruptionBudget.minAvailable: is missing; give it or maxUnavailable
{{- else if and (not $gone) (ge (include "token-broker.podsOf" (dict "share" $left "all" $least) | int) $least) }}
{{ $name }}.podDisruptionBudget.minAvailable: must be below the number of pods ({{ $least }}), or no node can be drained
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* A value as text, 0 as well; null is nothing, as the empty text is. */}}
{{- define "token-broker.orNothing" -}}
{{- if not (kindIs "invalid" .) }}{{ . }}{{ end }}
{{- end }}

{{/* How many pods a number or a percentage of them is, rounded up as Kubernetes does: dict of share and all. */}}
{{- define "token-broker.podsOf" -}}
{{- if hasSuffix "%" .share }}{{ divf (mulf (trimSuffix "%" .share) .all) 100 | ceil | int }}{{ else }}{{ int .share }}{{ end }}
{{- end }}

{{/* What would have no effect is not asked for by anybody who knows it: say so. */}}
{{- define "token-broker.checkMode" -}}
{{- if not (dig "enabled" true .Values.AsMap) }}
enabled: has an effect as the condition of a dependency only; to remove the broker uninstall it
{{- end }}
{{- if eq .Values.mode "sidecar" }}
{{- range $name, $enabled := dict "ingress.enabled" .Values.ingress.enabled "httpRoute.enabled" .Values.httpRoute.enabled "service.autoscaling.enabled" .Values.service.autoscaling.enabled }}
{{- if $enabled }}
{{ $name }}: has no effect in sidecar mode, where the service's container is in the app's own pods
{{- end }}
{{- end }}
{{- if and .Values.monitoring.podMonitor.enabled (not .Values.monitoring.podMonitor.sidecarPodSelector) }}
monitoring.podMonitor.sidecarPodSelector: is missing; name the labels of the app's pods
{{- end }}
{{- else if .Values.networkPolicy.sidecarPodSelector }}
networkPolicy.sidecarPodSelector: has an effect in sidecar mode only{{ include "token-broker.given" .Values.networkPolicy.sidecarPodSelector }}
{{- end }}
{{- if and .Values.monitoring.podMonitor.sidecarPodSelector (not (and .Values.monitoring.podMonitor.enabled (eq .Values.mode "sidecar"))) }}
monitoring.podMonitor.sidecarPodSelector: has an effect in sidecar mode only, with monitoring.podMonitor.enabled{{ include "token-broker.given" .Values.monitoring.podMonitor.sidecarPodSelector }}
{{- end }}
{{- end }}

{{- define "token-broker.given" }} (it is {{ . | toJson }}){{ end }}

{{- define "token-broker.checkPublishing" -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) }}
ingress.hosts: is missing; name your app's host (example: [app.example.com])
{{- end }}
{{- range $name := list "externalTrafficPolicy" "loadBalancerClass" "loadBalancerSourceRanges" }}
{{- $fits := ternary (list "LoadBalancer" "NodePort") (list "LoadBalancer") (eq $name "externalTrafficPolicy") }}
{{- if and (get $.Values.publicService $name) (not (has $.Values.publicService.type $fits)) }}
publicService.{{ $name }}: needs publicService.type {{ join " or " $fits }}; it is {{ $.Values.publicService.type }}
{{- end }}
{{- end }}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) }}
httpRoute.parentRefs: is missing; name the Gateway (example: [{name: web, namespace: gateways}])
{{- end }}
{{- end }}

{{- define "token-broker.checkMonitoring" -}}
{{- if and (eq .Values.mode "deployment") .Values.monitoring.serviceMonitor.enabled .Values.monitoring.podMonitor.enabled }}
monitoring.podMonitor.enabled: cannot be used with monitoring.serviceMonitor.enabled, or every figure would be counted twice
{{- end }}
{{- end }}
