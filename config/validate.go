package config

import (
	"encoding/hex"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/version"
)

// MinVersion is the oldest Kubernetes version that clusters are made with
// (kubeadm v1.37: its own minor version and the one before).
const MinVersion = "v1.36.0"

// Shapes that kubeadm v1.37 demands (util/version.go; cluster-bootstrap
// token/api; distribution/reference v0.6 for image names).
var (
	tokenShape      = regexp.MustCompile(`^[a-z0-9]{6}\.[a-z0-9]{16}$`)
	groupShape      = regexp.MustCompile(`^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$`)
	versionShape    = regexp.MustCompile(`^v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)([-\w.+]*)?$`)
	labelShape      = regexp.MustCompile(`^(latest|stable)+(-[1-9](\.[1-9](\d)?)?)?$`)
	repositoryShape = regexp.MustCompile(`^(([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(\.([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[a-fA-F0-9:]+\])(:[0-9]+)?(/[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*)*$`)
)

const nameFix = "use lower-case letters, digits, '-' and '.'"

// The names that fields take.
var (
	algorithms = []string{"RSA-2048", "RSA-3072", "RSA-4096", "ECDSA-P256", "ECDSA-P384"}
	usages     = []string{"signing", "authentication"}
	policies   = []corev1.PullPolicy{corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever}
	effects    = []corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute}
	pathTypes  = []corev1.HostPathType{
		corev1.HostPathUnset, corev1.HostPathDirectoryOrCreate, corev1.HostPathDirectory, corev1.HostPathFileOrCreate,
		corev1.HostPathFile, corev1.HostPathSocket, corev1.HostPathCharDev, corev1.HostPathBlockDev,
	}
)

// Validate returns every problem of a configuration that has its defaults,
// nil if there are none. What Resolve sets may still be missing.
func (c *Init) Validate() []Problem {
	v := &validator{}
	v.cluster(&c.Cluster)
	v.nodeNetwork(c)
	v.node(&c.Node)
	v.local("localAPIEndpoint", c.Local)
	v.balancing(c)
	for i, t := range c.Tokens {
		v.token(fmt.Sprintf("bootstrapTokens[%d]", i), t)
	}
	v.certificateKey("certificateKey", c.CertificateKey)
	return v.problems
}

// Validate returns every problem of a cluster's configuration that has its
// defaults.
func (c *Cluster) Validate() []Problem {
	v := &validator{}
	v.cluster(c)
	return v.problems
}

// ValidateToken returns what is wrong with one token.
func ValidateToken(t Token) []Problem {
	v := &validator{}
	v.token("token", t)
	return v.problems
}

type validator struct{ problems []Problem }

func (v *validator) add(path, fix, format string, args ...any) {
	v.problems = append(v.problems, Problem{Path: path, What: fmt.Sprintf(format, args...), Fix: fix})
}

func (v *validator) cluster(c *Cluster) {
	v.version("kubernetesVersion", c.Version)
	v.networking(c)
	v.absolute("certificatesDir", c.CertificatesDir)
	v.repository("imageRepository", c.ImageRepository)
	v.repository("dns.imageRepository", c.DNS.ImageRepository)
	if !slices.Contains(algorithms, c.EncryptionAlgorithm) {
		v.add("encryptionAlgorithm", "use one of "+strings.Join(algorithms, ", "), "%q is not known", c.EncryptionAlgorithm)
	}
	v.positive("certificateValidityPeriod", c.CertificateValidity)
	v.positive("caCertificateValidityPeriod", c.CAValidity)
	v.gates(c.FeatureGates)
	v.sans("apiServer.certSANs", c.APIServerSANs)
	v.etcd(c.Etcd)
	v.component("apiServer", c.APIServer)
	v.component("controllerManager", c.ControllerManager)
	v.component("scheduler", c.Scheduler)
}

func (v *validator) version(field, s string) {
	if labelShape.MatchString(s) {
		return
	}
	if strings.HasPrefix(s, "ci/") {
		v.add(field, "write a release, such as "+Version, "%q is a test build; hactl installs releases", s)
		return
	}
	parsed, err := version.ParseSemantic(s)
	if err != nil || !versionShape.MatchString(s) {
		v.add(field, "write it as "+Version+", or a label such as stable-1", "%q is not a version", s)
		return
	}
	if parsed.LessThan(version.MustParseSemantic(MinVersion)) {
		v.add(field, "use "+MinVersion+" or newer", "%s is older than this hactl can install", s)
	}
}

// gates refuses what is not known; the gates of older versions get a word on
// what became of them (kubeadm v1.29 to v1.37, features/features.go).
func (v *validator) gates(gates map[string]bool) {
	for _, name := range sortedKeys(gates) {
		field := "featureGates." + name
		switch name {
		case "RootlessControlPlane":
		case "PublicKeysECDSA":
			v.add(field, "use encryptionAlgorithm: ECDSA-P256", "is no feature gate any more")
		case "EtcdLearnerMode", "WaitForAllControlPlaneComponents", "ControlPlaneKubeletLocalMode", "NodeLocalCRISocket",
			"IPv6DualStack", "UnversionedKubeletConfigMap", "UpgradeAddonsBeforeControlPlane":
			v.add(field, "remove it", "is no feature gate any more; what it turned on is always on")
		default:
			v.add(field, "feature gates of a component go into its extraArgs, as feature-gates", "hactl has no such feature gate")
		}
	}
}

func (v *validator) component(path string, c Component) {
	v.args(path+".extraArgs", c.ExtraArgs)
	v.envs(path+".extraEnvs", c.ExtraEnvs)
	for i, m := range c.ExtraVolumes {
		at := fmt.Sprintf("%s.extraVolumes[%d].", path, i)
		if len(validation.IsDNS1123Label(m.Name)) > 0 {
			v.add(at+"name", "use lower-case letters, digits and '-'", "%q cannot be the name of a volume", m.Name)
		}
		v.absolute(at+"hostPath", m.HostPath)
		v.absolute(at+"mountPath", m.MountPath)
		if !slices.Contains(pathTypes, m.PathType) {
			v.add(at+"pathType", "use one of "+join(pathTypes[1:]), "%q is not known", m.PathType)
		}
	}
}

func (v *validator) args(path string, args []Arg) {
	for i, a := range args {
		at := fmt.Sprintf("%s[%d]", path, i)
		if a.Name == "" {
			v.add(at+".name", "", "is empty")
		} else if strings.HasPrefix(a.Name, "-") {
			v.add(at+".name", "write "+strings.TrimLeft(a.Name, "- "), "%q: names stand without dashes", a.Name)
		}
		if a.Merge != MergeReplace && a.Merge != MergeAppend && a.Merge != MergePrepend {
			v.add(at+".mergeMethod", "use append or prepend, or leave it out to replace", "%q is not known", a.Merge)
		}
	}
}

func (v *validator) envs(path string, envs []corev1.EnvVar) {
	for i, e := range envs {
		at := fmt.Sprintf("%s[%d]", path, i)
		if e.Name == "" || strings.ContainsAny(e.Name, "= ") {
			v.add(at+".name", "", "%q is not the name of an environment variable", e.Name)
		}
		if e.Value != "" && e.ValueFrom != nil {
			v.add(at+".valueFrom", "keep one of them", "stands beside value")
		}
	}
}

func (v *validator) node(n *Node) {
	if n.Name != "" && len(validation.IsDNS1123Subdomain(n.Name)) > 0 {
		v.add("nodeRegistration.name", nameFix, "%q cannot be a node name", n.Name)
	}
	v.socket("nodeRegistration.criSocket", n.CRISocket)
	v.args("nodeRegistration.kubeletExtraArgs", n.KubeletArgs)
	v.policy("nodeRegistration.imagePullPolicy", n.PullPolicy)
	v.ignored("nodeRegistration.ignorePreflightErrors", n.IgnorePreflight)
	for i, t := range n.Taints {
		at := fmt.Sprintf("nodeRegistration.taints[%d]", i)
		if len(validation.IsQualifiedName(t.Key)) > 0 {
			v.add(at+".key", "write it as example.com/dedicated", "%q cannot be the key of a taint", t.Key)
		}
		if !slices.Contains(effects, t.Effect) {
			v.add(at+".effect", "use one of "+join(effects), "%q is not known", t.Effect)
		}
	}
}

func (v *validator) socket(field, s string) {
	if s != "" && !strings.HasPrefix(s, "unix:///") {
		v.add(field, "write it as unix:///path/to/socket", "%q is not a socket URL", s)
	}
}

func (v *validator) policy(field string, p corev1.PullPolicy) {
	if p != "" && !slices.Contains(policies, p) {
		v.add(field, "use one of "+join(policies), "%q is not known", p)
	}
}

// ignored refuses "all" beside other names: one of the two is not meant.
func (v *validator) ignored(field string, names []string) {
	for i, name := range names {
		alone := !slices.ContainsFunc(names, func(n string) bool { return !strings.EqualFold(n, "all") })
		if strings.EqualFold(name, "all") && !alone {
			v.add(fmt.Sprintf("%s[%d]", field, i), "write only all, or only the names", "all stands beside names of checks")
		}
	}
}

func (v *validator) token(path string, t Token) {
	v.tokenValue(path+".token", t.Value)
	if t.TTL < 0 {
		v.add(path+".ttl", "0s means that it never expires", "%s is negative", t.TTL)
	}
	for i, u := range t.Usages {
		if !slices.Contains(usages, u) {
			v.add(fmt.Sprintf("%s.usages[%d]", path, i), "use "+strings.Join(usages, ", "), "%q is not known", u)
		}
	}
	for i, g := range t.Groups {
		if !groupShape.MatchString(g) {
			v.add(fmt.Sprintf("%s.groups[%d]", path, i), "write it as system:bootstrappers:my-nodes", "%q is not a group of bootstrap tokens", g)
		}
	}
	if len(t.Groups) > 0 && len(t.Usages) > 0 && !slices.Contains(t.Usages, "authentication") {
		v.add(path+".usages", "add authentication", "a token with groups is of no use without authentication")
	}
}

func (v *validator) tokenValue(field string, s Secret) {
	if s != "" && !tokenShape.MatchString(s.Reveal()) {
		v.add(field, "make one with: hactl token generate", "does not have the shape of a token: 6 and 16 lower-case letters or digits with a dot between them")
	}
}

func (v *validator) certificateKey(path string, key Secret) {
	if key == "" {
		return
	}
	if raw, err := hex.DecodeString(key.Reveal()); err != nil || len(raw) != 32 {
		v.add(path, "make one with: hactl certs certificate-key", "is not 64 hexadecimal digits (an AES-256 key)")
	}
}

func (v *validator) absolute(field, p string) {
	if !path.IsAbs(p) {
		v.add(field, "", "%q is not an absolute path", p)
	}
}

func (v *validator) positive(field string, d time.Duration) {
	if d <= 0 {
		v.add(field, "", "%s is not longer than zero", d)
	}
}

func (v *validator) repository(field, s string) {
	if s == "" || repositoryShape.MatchString(s) {
		return
	}
	fix := "write it as registry.example.com/path"
	if _, rest, ok := strings.Cut(s, "://"); ok {
		fix = "leave out the scheme: " + rest
	} else if strings.HasSuffix(s, "/") {
		fix = "leave out the slash at the end"
	}
	v.add(field, fix, "%q is not an image repository", s)
}

func join[T ~string](list []T) string {
	words := make([]string, len(list))
	for i, s := range list {
		words[i] = string(s)
	}
	return strings.Join(words, ", ")
}
