{{- /* Names and labels that all the templates share. */ -}}
{{- define "tenure.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "tenure.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tenure.labels" -}}
{{ include "tenure.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end -}}

{{- define "tenure.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "tenure.fullname" .) -}}
{{- end -}}

{{- define "tenure.secret" -}}
{{- required "existingSecret is missing. Make a Secret with the keys store and admin-key, and name it." .Values.existingSecret -}}
{{- end -}}

{{- /* Every name by which a request may come, as the JSON list that TENURE_ALLOWED_HOSTS wants. */ -}}
{{- define "tenure.allowedHosts" -}}
{{- $service := include "tenure.fullname" . -}}
{{- $local := printf "%s.%s" $service .Release.Namespace -}}
{{- concat (list .Values.hostname $service $local (printf "%s.svc" $local) (printf "%s.svc.cluster.local" $local)) .Values.allowedHosts | toJson -}}
{{- end -}}
