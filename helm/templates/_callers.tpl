{{/*
Who may call the internal listener besides keys: service accounts by their tokens, and callers by certificates.
*/}}

{{/* Callers as the program reads them: a list of maps of who, scopes and clients. */}}
{{- define "token-broker.callersText" -}}
{{- $entries := list }}
{{- range . }}
{{- $entry := .who }}
{{- if or .scopes .clients }}{{ $entry = printf "%s:%s" $entry (join "+" .scopes) }}{{ end }}
{{- with .clients }}{{ $entry = printf "%s:%s" $entry (join "+" .) }}{{ end }}
{{- $entries = append $entries $entry }}
{{- end }}
{{- join "," $entries }}
{{- end }}

{{/* All callers of a kind with who they are (a JSON list): dict of root and kind. */}}
{{- define "token-broker.callersOf" -}}
{{- $callers := list }}
{{- range get .root.Values.callers .kind }}
{{- $who := .name }}
{{- with .namespace }}{{ $who = printf "%s/%s" . $who }}{{ end }}
{{- $callers = append $callers (dict "who" $who "scopes" (default list .scopes) "clients" (default list .clients)) }}
{{- end }}
{{- toJson $callers }}
{{- end }}

{{/* Whether the service asks the cluster's own API for keys: then, and only then, it has a token of its account. */}}
{{- define "token-broker.asksCluster" -}}
{{- if and .Values.callers.serviceAccounts (hasPrefix "https://kubernetes.default" .Values.callers.jwks) }}true{{ end }}
{{- end }}

{{/* What the service is told of them: settings by their names. */}}
{{- define "token-broker.callerSettings" -}}
{{- $settings := dict }}
{{- with include "token-broker.callersOf" (dict "root" . "kind" "serviceAccounts") | fromJsonArray }}
{{- $_ := set $settings "SERVICE_ACCOUNTS" (include "token-broker.callersText" .) }}
{{- $_ := set $settings "SERVICE_ACCOUNT_ISSUER" $.Values.callers.issuer }}
{{- $_ := set $settings "SERVICE_ACCOUNT_JWKS" $.Values.callers.jwks }}
{{- end }}
{{- if include "token-broker.asksCluster" . }}
{{- $_ := set $settings "SERVICE_ACCOUNT_JWKS_CA_FILE" "/run/secrets/token-broker-cluster/ca.crt" }}
{{- $_ := set $settings "SERVICE_ACCOUNT_JWKS_TOKEN_FILE" "/run/secrets/token-broker-cluster/token" }}
{{- end }}
{{- with include "token-broker.callersOf" (dict "root" . "kind" "certificates") | fromJsonArray }}
{{- $_ := set $settings "CALLER_CERTIFICATES" (include "token-broker.callersText" .) }}
{{- end }}
{{- if .Values.internalTls.existingSecret }}
{{- $_ := set $settings "INTERNAL_TLS_CERTIFICATE_FILE" "/run/secrets/token-broker-tls/tls.crt" }}
{{- $_ := set $settings "INTERNAL_TLS_KEY_FILE" "/run/secrets/token-broker-tls/tls.key" }}
{{- if .Values.internalTls.caKey }}
{{- $_ := set $settings "INTERNAL_TLS_CA_FILE" "/run/secrets/token-broker-tls/ca.crt" }}
{{- end }}
{{- end }}
{{- toYaml $settings }}
{{- end }}

{{/*
The service's volumes for them. The certificate is mounted as a folder, so a renewal reaches the program. The
token of the broker's own account is for the cluster's API alone, an hour long, and renewed by the kubelet.
*/}}
{{- define "token-broker.callerVolumes" -}}
{{- with .Values.internalTls }}
{{- if .existingSecret }}
- name: token-broker-tls
  projected:
    defaultMode: 0444
    sources:
      - secret:
          name: {{ .existingSecret | quote }}
          items:
            - key: {{ .certificateKey | quote }}
              path: tls.crt
            - key: {{ .privateKeyKey | quote }}
              path: tls.key
            {{- with .caKey }}
            - key: {{ . | quote }}
              path: ca.crt
            {{- end }}
{{- end }}
{{- end }}
{{- if include "token-broker.asksCluster" . }}
- name: token-broker-cluster
  projected:
    defaultMode: 0444
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: 3600
      - configMap:
          name: kube-root-ca.crt
          items:
            - key: ca.crt
              path: ca.crt
{{- end }}
{{- end }}

{{- define "token-broker.callerMounts" -}}
{{- if .Values.internalTls.existingSecret }}
- name: token-broker-tls
  mountPath: /run/secrets/token-broker-tls
  readOnly: true
{{- end }}
{{- if include "token-broker.asksCluster" . }}
- name: token-broker-cluster
  mountPath: /run/secrets/token-broker-cluster
  readOnly: true
{{- end }}
{{- end }}

{{/* What the program would refuse as well; here it is known before anything is installed. */}}
{{- define "token-broker.checkCallers" -}}
{{- $callers := .Values.callers }}
{{- $tls := .Values.internalTls }}
{{- if not (or $callers.apiKeys $callers.serviceAccounts $callers.certificates) }}
callers.apiKeys: must be true where nobody comes by serviceAccounts or certificates
{{- end }}
{{- if and $callers.certificates (not $tls.caKey) }}
internalTls.caKey: is missing; callers.certificates needs the authorities of the callers' certificates (example: ca.crt)
{{- end }}
{{- if and $tls.caKey (not $tls.existingSecret) }}
internalTls.existingSecret: is missing; name the Secret that holds the internal listener's certificate
{{- end }}
{{- $clients := list }}
{{- range .Values.clients }}{{ $clients = append $clients .name }}{{ end }}
{{- $clients = default (list "default") $clients }}
{{- range $kind := list "serviceAccounts" "certificates" }}
{{- $seen := list }}
{{- range $place, $caller := include "token-broker.callersOf" (dict "root" $ "kind" $kind) | fromJsonArray }}
{{- if has $caller.who $seen }}
callers.{{ $kind }}[{{ $place }}]: {{ $caller.who }} stands in the list twice
{{- end }}
{{- $seen = append $seen $caller.who }}
{{- range $caller.clients }}
{{- if not (has . $clients) }}
callers.{{ $kind }}[{{ $place }}].clients: {{ . }} is none of the OAuth clients ({{ join ", " $clients }})
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
