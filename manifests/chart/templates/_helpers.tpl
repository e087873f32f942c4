{{- /* The image of a program: {{ include "dbscale.image" (list . "dbscale-webhook") }} */ -}}
{{- define "dbscale.image" -}}
{{- $root := index . 0 -}}
{{ $root.Values.registry }}{{ index . 1 }}:{{ $root.Values.tag | default (printf "v%s" $root.Chart.AppVersion) }}
{{- end -}}

{{- /* What a pod may be given beside what is always so. */ -}}
{{- define "dbscale.pod" -}}
{{- $root := index . 0 -}}
{{- $program := index . 1 -}}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $program.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $program.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $program.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $program.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
