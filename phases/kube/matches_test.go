package kube_test

import (
	"strings"
	"testing"

	"github.com/hactl/hactl/phases/kube"
)

// deployment is what hactl wants; defaulted is what a server makes of it.
const (
	deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: d, namespace: kube-system, labels: {app: d}}
spec:
  replicas: 0
  selector: {matchLabels: {app: d}}
  template:
    metadata: {labels: {app: d}}
    spec:
      containers:
      - name: c
        image: i:v1
        args: [-a, -b]
        ports: [{containerPort: 53}]
        env: [{name: E, value: "1"}]
        resources: {limits: {memory: 170Mi, cpu: "0.5"}}
      volumes: [{name: v, emptyDir: {}}]
`
	defaulted = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: d
  namespace: kube-system
  uid: u
  resourceVersion: "7"
  generation: 3
  labels: {app: d, other: kept}
  annotations: {deployment.kubernetes.io/revision: "1"}
  managedFields:
  - {manager: kubectl, operation: Update, apiVersion: apps/v1, fieldsType: FieldsV1, fieldsV1: {"f:metadata": {"f:labels": {"f:other": {}}}}}
  - manager: hactl
    operation: Apply
    apiVersion: apps/v1
    fieldsType: FieldsV1
    fieldsV1:
      f:metadata: {f:labels: {f:app: {}}}
      f:spec:
        f:replicas: {}
        f:selector: {}
        f:template:
          f:metadata: {f:labels: {f:app: {}}}
          f:spec:
            f:containers:
              k:{"name":"c"}:
                .: {}
                f:name: {}
                f:image: {}
                f:args: {}
                f:env: {'k:{"name":"E"}': {.: {}, f:name: {}, f:value: {}}}
                f:ports: {'k:{"containerPort":53,"protocol":"TCP"}': {.: {}, f:containerPort: {}}}
                f:resources: {f:limits: {f:cpu: {}, f:memory: {}}}
            f:volumes: {'k:{"name":"v"}': {.: {}, f:emptyDir: {}, f:name: {}}}
spec:
  replicas: 0
  revisionHistoryLimit: 10
  progressDeadlineSeconds: 600
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 25%, maxUnavailable: 25%}}
  selector: {matchLabels: {app: d}}
  template:
    metadata: {labels: {app: d}}
    spec:
      dnsPolicy: ClusterFirst
      restartPolicy: Always
      containers:
      - name: side
        image: other:v9
      - name: c
        image: i:v1
        imagePullPolicy: IfNotPresent
        args: [-a, -b]
        ports: [{containerPort: 53, protocol: TCP}]
        env: [{name: F, value: "2"}, {name: E, value: "1"}]
        resources: {limits: {memory: 170Mi, cpu: 500m}}
      volumes: [{name: v, emptyDir: {}}]
status: {replicas: 0, observedGeneration: 3}
`
)

func TestMatches(t *testing.T) {
	cases := map[string]struct {
		reason   string
		old, new string // of the wanted text, replaced once
		want     bool
	}{
		"Defaults":     {reason: "defaults and what others added do not matter", want: true},
		"Image":        {reason: "a value differs", old: "i:v1", new: "i:v2"},
		"Zero":         {reason: "a pointer to zero is set, and zero is not five", old: "replicas: 0", new: "replicas: 5"},
		"NoReplicas":   {reason: "hactl had set replicas and no longer does", old: "replicas: 0", new: "paused: false"},
		"ArgMissing":   {reason: "the live list has an argument more", old: "[-a, -b]", new: "[-a]"},
		"ArgMore":      {reason: "the live list has an argument less", old: "[-a, -b]", new: "[-a, -b, -c]"},
		"ArgOrder":     {reason: "order matters", old: "[-a, -b]", new: "[-b, -a]"},
		"EnvMore":      {reason: "a variable is missing", old: `[{name: E, value: "1"}]`, new: `[{name: E, value: "1"}, {name: G, value: "3"}]`},
		"EnvOfOther":   {reason: "the same variable with another value", old: `[{name: E, value: "1"}]`, new: `[{name: E, value: "1"}, {name: F, value: "3"}]`},
		"EnvGone":      {reason: "hactl had set E and no longer does", old: `[{name: E, value: "1"}]`, new: "[]"},
		"Quantity":     {reason: "quantities are compared by value", old: `"0.5"`, new: "500m", want: true},
		"QuantityLess": {reason: "another quantity", old: "170Mi", new: "171Mi"},
		"LabelGone":    {reason: "hactl had set the label and no longer does", old: "labels: {app: d}}\nspec", new: "labels: {x: y}}\nspec"},
		"LabelOfOther": {reason: "a label that others set is as wanted", old: "labels: {app: d}}\nspec", new: "labels: {app: d, other: kept}}\nspec", want: true},
		"VolumeKind":   {reason: "an empty map is set", old: "emptyDir: {}", new: "hostPath: {path: /x}"},
	}
	live, err := kube.Decode([]byte(defaulted))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := kube.NewMemory()
			if err := m.Set(live); err != nil {
				t.Fatal(err)
			}
			want, err := kube.Decode([]byte(replaceOnce(t, deployment, c.old, c.new)))
			if err != nil {
				t.Fatal(err)
			}
			got, err := kube.Matches(t.Context(), m, want)
			if err != nil || got != c.want {
				t.Errorf("%s: want %v, got %v, %v", c.reason, c.want, got, err)
			}
			if err := m.Put(t.Context(), want); err != nil {
				t.Fatal(err)
			}
			back, err := kube.Decode([]byte(replaceOnce(t, deployment, c.old, c.new)))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := kube.Matches(t.Context(), m, back); err != nil || !got {
				t.Errorf("after Put it matches: got %v, %v", got, err)
			}
		})
	}
}

func replaceOnce(t *testing.T, s, old, with string) string {
	t.Helper()
	if old == "" {
		return s
	}
	if !strings.Contains(s, old) {
		t.Fatalf("%q is not in the text", old)
	}
	return strings.Replace(s, old, with, 1)
}

func TestDecode(t *testing.T) {
	cases := map[string]struct {
		reason string
		doc    string
		good   bool
	}{
		"Good":         {"a kind of the table", "apiVersion: v1\nkind: Namespace\nmetadata: {name: n}", true},
		"UnknownField": {"fields are strict", "apiVersion: v1\nkind: Namespace\nmetdata: {name: n}", false},
		"UnknownKind":  {"a kind that is not in the table", "apiVersion: v1\nkind: PersistentVolume", false},
		"OtherVersion": {"the version counts", "apiVersion: apps/v1beta1\nkind: Deployment", false},
		"NoYAML":       {"no YAML", "\t{", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := kube.Decode([]byte(c.doc)); (err == nil) != c.good {
				t.Errorf("%s: got %v", c.reason, err)
			}
		})
	}
}
