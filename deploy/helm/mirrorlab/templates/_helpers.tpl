{{- define "mirrorlab.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Room is left for what is put behind it, such as -admin. */}}
{{- define "mirrorlab.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "mirrorlab.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "mirrorlab.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "mirrorlab.selectorLabels" -}}
app.kubernetes.io/name: {{ include "mirrorlab.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "mirrorlab.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "mirrorlab.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "mirrorlab.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "mirrorlab.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* Without a token, values of traffic are shown under names that are listed alone. */}}
{{- define "mirrorlab.adminHosts" -}}
{{- $name := printf "%s-admin" (include "mirrorlab.fullname" .) }}
{{- $names := list $name }}
{{- range list "" ".svc" ".svc.cluster.local" }}
{{- $names = append $names (printf "%s.%s%s" $name $.Release.Namespace .) }}
{{- end }}
{{- concat $names .Values.adminHosts | join "," }}
{{- end }}

{{/* What no schema can say. */}}
{{- define "mirrorlab.check" -}}
{{- if regexMatch `(?m)^\s*(admin\s*\.\s*token|token|(mirror\s*\.\s*)?sample_secret|(guardrail\s*\.\s*)?webhook)\s*=` .Values.settings }}
{{- fail "settings: a token, a sample_secret or a webhook does not belong into a ConfigMap; see secretEnv" }}
{{- end }}
{{- if .Values.relay.enabled }}
{{- if not (regexMatch (printf `(?m)^\s*address\s*=\s*".*:%v"` .Values.relay.port) .Values.settings) }}
{{- fail (printf "relay: settings have no [[listener]] with address = \":%v\"" .Values.relay.port) }}
{{- end }}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.relay) }}
{{- fail "networkPolicy.relay: nobody may send copies to the relay; name who does" }}
{{- end }}
{{- else if not .Values.service.enabled }}
{{- fail "service: nobody could send anything; enable it, or relay" }}
{{- end }}
{{- if and (eq .Values.shape "sidecar") (not .Values.sidecar.application.image) }}
{{- fail "sidecar.application: the application's container needs a name and an image" }}
{{- end }}
{{- end }}
