{{- define "dynolab.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "dynolab.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "dynolab.labels" -}}
{{ include "dynolab.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "dynolab.secret" -}}
{{- if .Values.existingSecret }}{{ .Values.existingSecret }}{{ else }}{{ include "dynolab.name" . }}{{ end }}
{{- end }}

{{/* hub.toml: one setting a line. JSON's texts, numbers and lists are TOML's. */}}
{{- define "dynolab.settings" -}}
host = "0.0.0.0"
port = 8000
data = "/var/lib/dynolab/hub"
agent = false
{{- range $name, $value := .Values.settings }}
{{- if not (has $name (list "host" "port" "data" "agent")) }}
{{- if not (or (kindIs "invalid" $value) (eq (toString $value) "")) }}
{{ $name }} = {{ toJson $value }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
