{{/*
Durations as the program reads them: seconds (20, 0.5) or one number with a unit (20s, 15m, 24h, 7d).
The chain below is the program's own: it would refuse to start, so the chart refuses to render.
*/}}

{{/* A value of `config` as the program is to read it; lists are joined, numbers written plainly. */}}
{{- define "token-broker.text" -}}
{{- if kindIs "slice" . }}
{{- join "," . }}
{{- else if kindIs "float64" . }}
{{- if eq (floor .) . }}{{ printf "%.0f" . }}{{ else }}{{ printf "%.3f" . }}{{ end }}
{{- else }}
{{- toString . }}
{{- end }}
{{- end }}

{{- define "token-broker.seconds" -}}
{{- $text := include "token-broker.text" . }}
{{- $number := regexFind "^[0-9.]+" $text | float64 }}
{{- $unit := regexFind "[a-z]*$" $text }}
{{- mulf $number (get (dict "" 1 "s" 1 "m" 60 "h" 3600 "d" 86400) $unit) }}
{{- end }}

{{/* Whole seconds of a setting, rounded up: dict of root and name. */}}
{{- define "token-broker.wholeSeconds" -}}
{{- include "token-broker.seconds" (get .root.Values.config .name) | float64 | ceil | int }}
{{- end }}

{{/* One line for each link that does not hold: these together, below (or at most) that one. */}}
{{- define "token-broker.checkChain" -}}
{{- $config := .Values.config }}
{{- range list
  (dict "parts" (list "UPSTREAM_TIMEOUT" "DATABASE_TIMEOUT") "whole" "LEASE_TTL")
  (dict "parts" (list "LEASE_TTL") "whole" "CLAIM_DEADLINE" "equal" true)
  (dict "parts" (list "CLAIM_DEADLINE" "UPSTREAM_TIMEOUT" "DATABASE_TIMEOUT") "whole" "PUBLIC_ANSWER_TIMEOUT")
  (dict "parts" (list "PUBLIC_ANSWER_TIMEOUT") "whole" "DRAIN")
  (dict "parts" (list "DRAIN") "whole" "GRACE")
  (dict "parts" (list "BINDING_IDLE") "whole" "BINDING_ABSOLUTE" "equal" true)
}}
{{- $total := 0.0 }}
{{- $names := list }}
{{- $figures := list }}
{{- range .parts }}
{{- $total = addf $total (include "token-broker.seconds" (get $config .) | float64) }}
{{- $names = append $names (printf "config.%s" .) }}
{{- $figures = append $figures (include "token-broker.text" (get $config .)) }}
{{- end }}
{{- $limit := include "token-broker.seconds" (get $config .whole) | float64 }}
{{- if not (or (lt $total $limit) (and .equal (eq $total $limit))) }}
config.{{ .whole }}: must be {{ ternary "at least" "longer than" (default false .equal) }} {{ join " + " $names }} ({{ join " + " $figures }}); it is {{ include "token-broker.text" (get $config .whole) }}
{{- end }}
{{- end }}
{{- end }}
