{{/* The release's name, once. */}}
{{- define "floe.fullname" -}}
{{- if contains "floe" .Release.Name -}}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{- else -}}
{{ printf "%s-floe" .Release.Name | trunc 40 | trimSuffix "-" }}{{- end -}}
{{- end -}}

{{/* Labels of a component: (list root name). */}}
{{- define "floe.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: floe
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "floe.labels" -}}
{{- $root := index . 0 -}}
{{ include "floe.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end -}}

{{/* host:port of a service's gRPC port: (list root name). */}}
{{- define "floe.address" -}}
{{- $root := index . 0 -}}
{{ include "floe.fullname" $root }}-{{ index . 1 }}:7400
{{- end -}}

{{/* name=host:port of the enabled ones among the names: (list root name…). */}}
{{- define "floe.queues" -}}
{{- $root := index . 0 -}}
{{- $pairs := list -}}
{{- range rest . -}}
{{- $service := index $root.Values.services . -}}
{{- if and $service (ne (toString $service.enabled) "false") -}}
{{- $pairs = append $pairs (printf "%s=%s" . (include "floe.address" (list $root .))) -}}
{{- end -}}
{{- end -}}
{{ join "," $pairs }}
{{- end -}}

{{/* host:port of every inference worker that there may be, by its stable name. */}}
{{- define "floe.workers" -}}
{{- $service := include "floe.service" (list . "inference") | fromYaml -}}
{{- $name := printf "%s-inference" (include "floe.fullname" .) -}}
{{- $most := int (ternary $service.autoscaling.maxReplicas $service.replicas $service.autoscaling.enabled) -}}
{{- $workers := list -}}
{{- range $i := until $most -}}
{{- $workers = append $workers (printf "%s-%d.%s.%s.svc.cluster.local:7400" $name $i $name $.Release.Namespace) -}}
{{- end -}}
{{ join "," $workers }}
{{- end -}}

{{/* The merged values of a service: (list root name), as YAML. */}}
{{- define "floe.service" -}}
{{- $root := index . 0 -}}
{{- $own := index $root.Values.services (index . 1) -}}
{{- mergeOverwrite (deepCopy $root.Values.defaults) (deepCopy $own) | toYaml -}}
{{- end -}}

{{- define "floe.image" -}}
{{- $root := index . 0 -}}
{{ $root.Values.image.registry }}{{ index . 1 }}:{{ $root.Values.image.tag | default $root.Chart.AppVersion }}
{{- end -}}

{{/* The variable with a service's connection string: (list root name). */}}
{{- define "floe.databaseEnvironment" -}}
{{- $root := index . 0 -}}
- name: FLOE_DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ $root.Values.postgres.urlsSecret | default (printf "%s-postgres" (include "floe.fullname" $root)) }}
      key: {{ index . 1 }}-url
{{- end -}}

{{- define "floe.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "floe.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}
