{{/* The proxy's container, the same alone and beside an application. */}}
{{- define "mirrorlab.container" -}}
- name: mirrorlab
  image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  env:
    - name: MIRROR_CONFIG
      value: /etc/mirrorlab/mirrorlab.toml
    - name: LISTEN_ADDR
      value: ":{{ .Values.ports.http }}"
    - name: ADMIN_ADDR
      value: ":{{ .Values.ports.admin }}"
    - name: ADMIN_HOSTS
      value: {{ include "mirrorlab.adminHosts" . | quote }}
    - name: DRAIN_DELAY
      value: {{ .Values.drain.delaySeconds | quote }}
    - name: DRAIN_TIMEOUT
      value: {{ .Values.drain.timeoutSeconds | quote }}
    {{- range $name, $value := .Values.env }}
    - name: {{ $name }}
      value: {{ $value | quote }}
    {{- end }}
    {{- range .Values.secretEnv }}
    - name: {{ .name }}
      valueFrom:
        secretKeyRef:
          name: {{ .secret }}
          key: {{ .key }}
    {{- end }}
  ports:
    - name: http
      containerPort: {{ .Values.ports.http }}
    - name: http-admin
      containerPort: {{ .Values.ports.admin }}
    {{- if .Values.relay.enabled }}
    - name: http-relay
      containerPort: {{ .Values.relay.port }}
    {{- end }}
  startupProbe:
    httpGet:
      path: /healthz
      port: http-admin
    {{- toYaml .Values.probes.startup | nindent 4 }}
  livenessProbe:
    httpGet:
      path: /healthz
      port: http-admin
    {{- toYaml .Values.probes.liveness | nindent 4 }}
  readinessProbe:
    httpGet:
      path: /readyz
      port: http-admin
    {{- toYaml .Values.probes.readiness | nindent 4 }}
  resources:
    {{- toYaml .Values.resources | nindent 4 }}
  securityContext:
    {{- toYaml .Values.securityContext | nindent 4 }}
  volumeMounts:
    # A folder: a file that is mounted by subPath never changes.
    - name: mirrorlab-settings
      mountPath: /etc/mirrorlab
      readOnly: true
    {{- with .Values.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* The application's, which goes on taking connections as long as the proxy does. */}}
{{- define "mirrorlab.application" -}}
{{- $sleep := dict "preStop" (dict "sleep" (dict "seconds" (add .Values.drain.delaySeconds 2))) }}
{{- $container := merge (dict) .Values.sidecar.application (dict "name" "application" "lifecycle" $sleep) }}
{{- list $container | toYaml }}
{{- end }}
