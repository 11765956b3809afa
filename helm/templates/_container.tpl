{{/*
The program's container in a role: dict of root, role ("serve", "work", "migrate"), and the section of the
values that is about it (`section`: service, worker or migrations).
*/}}

{{/* Restricted, and beyond: whatever the pod around it says. */}}
{{- define "token-broker.containerSecurityContext" -}}
{{- toYaml .Values.containerSecurityContext }}
{{- end }}

{{/* The pod options of a section: a key given there takes the place of the same key of `pod`. */}}
{{- define "token-broker.podOptions" -}}
{{- $options := deepCopy .root.Values.pod }}
{{- range $key, $value := .section.pod }}{{ $_ := set $options $key $value }}{{ end }}
{{- toYaml $options }}
{{- end }}

{{- define "token-broker.container" -}}
{{- $options := include "token-broker.podOptions" . | fromYaml }}
name: token-broker
image: {{ include "token-broker.image" .root | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
args: [{{ .role | quote }}]
securityContext:
  {{- include "token-broker.containerSecurityContext" .root | nindent 2 }}
env:
  {{- include "token-broker.env" . | trim | nindent 2 }}
  {{- with $options.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $options.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if ne .role "migrate" }}
ports:
  {{- include "token-broker.ports" . | trim | nindent 2 }}
{{- include "token-broker.probes" . }}
{{- with include "token-broker.preStop" . | trim }}
lifecycle:
  {{- . | nindent 2 }}
{{- end }}
{{- end }}
{{- with .section.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  {{- include "token-broker.volumeMounts" . | trim | nindent 2 }}
  {{- with $options.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* A listener on loopback has no port to name: nothing outside the pod reaches it. */}}
{{- define "token-broker.ports" -}}
{{- $values := .root.Values }}
{{- $own := eq $values.mode "deployment" }}
{{- if and (eq .role "serve") (or $own $values.sidecar.exposePublic) }}
- name: public
  containerPort: {{ $values.ports.public }}
{{- end }}
{{- if and (eq .role "serve") $own }}
- name: internal
  containerPort: {{ $values.ports.internal }}
{{- end }}
- name: observe
  containerPort: {{ $values.ports.observe }}
{{- end }}

{{/*
Alive means that the event loop turns, and depends on nothing else: a database that is away must not restart
every pod. Ready is also a pod without its dependencies, because it can still answer from what it holds.
The start-up probe asks for life only, so that a schema which is behind holds a rollout up and restarts nothing.
*/}}
{{- define "token-broker.probes" }}
{{- range $name, $path := dict "startupProbe" "/healthz" "livenessProbe" "/healthz" "readinessProbe" "/readyz" }}
{{- with get $.root.Values.probes (trimSuffix "Probe" $name) }}
{{ $name }}:
  httpGet:
    path: {{ $path }}
    port: observe
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/*
What a pod does before SIGTERM: it keeps answering until no proxy sends it anything new. The kubelet itself
sleeps (on by default from 1.30, the oldest that the chart takes): there is no shell in the image.
*/}}
{{- define "token-broker.preStop" -}}
{{- with include "token-broker.preStopSeconds" . | int }}
preStop:
  sleep:
    seconds: {{ . }}
{{- end }}
{{- end }}

{{/*
Nobody is sent to a worker by a proxy. A native sidecar gets SIGTERM when the app's containers have ended; an
ordinary second container gets it with them, so it waits for as long as the app may take.
*/}}
{{- define "token-broker.preStopSeconds" -}}
{{- $values := .root.Values }}
{{- if eq .role "work" }}0
{{- else if eq $values.mode "deployment" }}{{ $values.service.preStopSeconds }}
{{- else if $values.sidecar.native }}0
{{- else }}{{ $values.sidecar.appGraceSeconds }}
{{- end }}
{{- end }}
