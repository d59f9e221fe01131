package kubetest

import (
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/hactl/hactl/phases/kube"
)

// documents returns objects in which a server sets many defaults. None of
// them makes a pod.
func documents() []string {
	return []string{`
apiVersion: apps/v1
kind: Deployment
metadata: {name: hactl-conformance-a, namespace: kube-system}
spec:
  replicas: 0
  selector: {matchLabels: {app: hactl-conformance}}
  strategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 1}}
  template:
    metadata: {labels: {app: hactl-conformance}}
    spec:
      priorityClassName: system-cluster-critical
      tolerations: [{key: CriticalAddonsOnly, operator: Exists}]
      nodeSelector: {kubernetes.io/os: linux}
      containers:
      - name: c
        image: registry.k8s.io/pause:3.10
        args: [-conf, /etc/c]
        env: [{name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]
        resources: {limits: {memory: 170Mi}, requests: {cpu: "0.1", memory: 70Mi}}
        ports: [{containerPort: 53, name: dns, protocol: UDP}, {containerPort: 53, name: dns-tcp}]
        livenessProbe: {httpGet: {path: /health, port: 8080}, failureThreshold: 5}
        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {add: [NET_BIND_SERVICE], drop: [ALL]}}
        volumeMounts: [{name: conf, mountPath: /etc/c, readOnly: true}]
      dnsPolicy: Default
      volumes:
      - name: conf
        configMap: {name: hactl-conformance-a, items: [{key: c, path: c}]}
      - name: socket
        hostPath: {path: /lib/modules}
`, `
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: hactl-conformance-a, namespace: kube-system}
spec:
  selector: {matchLabels: {app: hactl-conformance}}
  updateStrategy: {type: RollingUpdate}
  template:
    metadata: {labels: {app: hactl-conformance}}
    spec:
      hostNetwork: true
      nodeSelector: {hactl.dev/conformance: none}
      containers:
      - {name: c, image: "registry.k8s.io/pause:3.10", securityContext: {privileged: true}}
`, `
apiVersion: v1
kind: Service
metadata: {name: hactl-conformance-a, namespace: kube-system, annotations: {prometheus.io/scrape: "true"}}
spec:
  selector: {app: hactl-conformance}
  ports: [{name: dns, port: 53, protocol: UDP, targetPort: 53}, {name: metrics, port: 9153}]
`, `
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: hactl-conformance-a, namespace: kube-system}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: hactl-conformance-a}
subjects: [{kind: Group, name: "system:bootstrappers:none"}, {kind: ServiceAccount, name: a, namespace: kube-system}]
`, `
apiVersion: v1
kind: ServiceAccount
metadata: {name: hactl-conformance-a, namespace: kube-system}
`, `
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: hactl-conformance-a, namespace: kube-system}
spec: {holderIdentity: a, leaseDurationSeconds: 15, renewTime: "2026-01-01T00:00:00.000000Z"}
`}
}

func defaults(t *testing.T, api kube.API) {
	for _, doc := range documents() {
		want, err := kube.Decode([]byte(doc))
		must(t, err)
		put, err := kube.Decode([]byte(doc))
		must(t, err)
		if err := api.Delete(t.Context(), put); err != nil && !apierrors.IsNotFound(err) {
			t.Fatal(err)
		}
		must(t, api.Put(t.Context(), put))
		wantMatch(t, api, want, true)
		again, err := kube.Decode([]byte(doc))
		must(t, err)
		must(t, api.Put(t.Context(), again))
		// Controllers write the status at any time: what they leave alone is
		// the generation, where a kind has one.
		if put.GetGeneration() != again.GetGeneration() || (put.GetGeneration() == 0 && put.GetResourceVersion() != again.GetResourceVersion()) {
			t.Errorf("%T: an equal Put changed the object", want)
		}
		must(t, api.Delete(t.Context(), again))
	}
}
