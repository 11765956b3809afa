{{/*
What an app's own Deployment includes in `sidecar` mode, each with this chart's context, which the app's chart
finds in `.Subcharts`:

    {{- $broker := index .Subcharts "token-broker" }}
    metadata:
      {{- with include "token-broker.sidecar.annotations" $broker }}
      annotations:
        {{- . | nindent 8 }}
      {{- end }}
    spec:
      terminationGracePeriodSeconds: {{ include "token-broker.sidecar.terminationGracePeriodSeconds" $broker }}
      {{- with include "token-broker.sidecar.imagePullSecrets" $broker }}
      imagePullSecrets:
        {{- . | nindent 8 }}
      {{- end }}
      {{- with include "token-broker.sidecar.initContainers" $broker }}
      initContainers:
        {{- . | nindent 8 }}
      {{- end }}
      containers:
        - name: app
        {{- with include "token-broker.sidecar.containers" $broker }}
        {{- . | nindent 8 }}
        {{- end }}
      volumes:
        {{- include "token-broker.sidecar.volumes" $broker | nindent 8 }}

Include all of them: which of the two lists of containers has the broker in it is `sidecar.native`'s decision.
*/}}

{{- define "token-broker.sidecar.about" -}}
{{- if ne .Values.mode "sidecar" }}{{ fail "token-broker: mode: must be sidecar where an app's Deployment includes the container" }}{{ end }}
{{- end }}

{{/* Before the app's containers: up before they start, told to end when they have ended. */}}
{{- define "token-broker.sidecar.initContainers" -}}
{{- include "token-broker.sidecar.about" . -}}
{{- if .Values.sidecar.native -}}
- {{ include "token-broker.container" (dict "root" . "role" "serve" "section" .Values.service) | trim | nindent 2 | trim }}
  restartPolicy: Always
{{- end }}
{{- end }}

{{/* Beside the app's containers, where a cluster or a policy has no native sidecars. */}}
{{- define "token-broker.sidecar.containers" -}}
{{- include "token-broker.sidecar.about" . -}}
{{- if not .Values.sidecar.native -}}
- {{ include "token-broker.container" (dict "root" . "role" "serve" "section" .Values.service) | trim | nindent 2 | trim }}
{{- end }}
{{- end }}

{{- define "token-broker.sidecar.volumes" -}}
{{- include "token-broker.sidecar.about" . }}
{{- include "token-broker.volumes" (dict "root" . "role" "serve") | trim }}
{{- with (include "token-broker.podOptions" (dict "root" . "section" .Values.service) | fromYaml).extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What its image is pulled with: the kubelet asks the pod that the container is in. */}}
{{- define "token-broker.sidecar.imagePullSecrets" -}}
{{- include "token-broker.sidecar.about" . -}}
{{- with .Values.image.pullSecrets }}{{ toYaml . }}{{ end }}
{{- end }}

{{/* Who may reach the broker, as ingress rules for the policy of the app's pods; empty when nobody is named. */}}
{{- define "token-broker.sidecar.ingress" -}}
{{- include "token-broker.sidecar.about" . }}
{{- include "token-broker.ingressRules" (dict "root" . "component" "service") | trim }}
{{- end }}

{{/* What the broker must reach, as egress rules for the policy of the app's pods: only the app knows the rest. */}}
{{- define "token-broker.sidecar.egress" -}}
{{- include "token-broker.sidecar.about" . }}
{{- include "token-broker.runningEgress" (dict "root" . "component" "service") | trim }}
{{- end }}

{{/* Empty when there is nothing whose change must replace the pods. */}}
{{- define "token-broker.sidecar.annotations" -}}
{{- include "token-broker.sidecar.about" . }}
{{- include "token-broker.checksums" . | trim }}
{{- end }}

{{/* The app's time to end, and after it the broker's: the kubelet gives both out of one clock. */}}
{{- define "token-broker.sidecar.terminationGracePeriodSeconds" -}}
{{- include "token-broker.sidecar.about" . }}
{{- add (include "token-broker.wholeSeconds" (dict "root" . "name" "GRACE")) .Values.sidecar.appGraceSeconds }}
{{- end }}
