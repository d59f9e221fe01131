package config

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
)

var (
	hashShape    = regexp.MustCompile(`^sha256:[0-9a-fA-F]{64}$`)
	unmountFlags = []string{"MNT_FORCE", "MNT_DETACH", "MNT_EXPIRE", "UMOUNT_NOFOLLOW"}
)

// Validate returns every problem of a configuration that has its defaults,
// nil if there are none. What Resolve sets may still be missing.
func (j *JoinNode) Validate() []Problem {
	v := &validator{}
	v.discovery(&j.Discovery)
	v.node(&j.Node)
	if cp := j.ControlPlane; cp != nil {
		v.local("controlPlane.localAPIEndpoint", cp.Local)
		v.certificateKey("controlPlane.certificateKey", cp.CertificateKey)
	}
	if j.LoadBalancer != nil {
		v.balancer(j.LoadBalancer)
	}
	if !path.IsAbs(j.CACertPath) || !strings.HasSuffix(j.CACertPath, ".crt") {
		v.add("caCertPath", "write it as "+path.Join(DefaultCertsDir, "ca.crt"), "%q is not an absolute path that ends in .crt", j.CACertPath)
	}
	return v.problems
}

func (v *validator) discovery(d *Discovery) {
	switch {
	case d.Token == nil && d.File == nil:
		v.add("discovery", "set bootstrapToken, or file", "does not say how to find the cluster")
	case d.Token != nil && d.File != nil:
		v.add("discovery.file", "keep one of them", "stands beside bootstrapToken")
	}
	if t := d.Token; t != nil {
		v.tokenDiscovery("discovery.bootstrapToken", t)
	}
	if f := d.File; f != nil {
		v.kubeconfig("discovery.file.kubeConfigPath", f.Kubeconfig)
	}
	if d.Token == nil || d.TLSBootstrapToken != d.Token.Token {
		v.tokenValue("discovery.tlsBootstrapToken", d.TLSBootstrapToken)
	}
}

func (v *validator) tokenDiscovery(at string, t *TokenDiscovery) {
	const tokenFix = "get one on a control-plane node with: hactl token create --print-join-command"
	if t.Token == "" {
		v.add(at+".token", tokenFix, "is not set")
	}
	v.tokenValue(at+".token", t.Token)
	if t.Endpoint.IsZero() {
		v.add(at+".apiServerEndpoint", "write it as host:port, as in lb.example.com:6443", "is not set")
	} else if t.Endpoint.Port == 0 {
		v.add(at+".apiServerEndpoint", "write "+HostPort{t.Endpoint.Host, DefaultBindPort}.String(), "%s has no port", t.Endpoint)
	}
	if len(t.CACertHashes) == 0 && !t.UnsafeSkipCAVerification {
		v.add(at+".caCertHashes", "take them from: hactl token create --print-join-command; or set unsafeSkipCAVerification: true and trust the network",
			"is empty: anyone on the network could pass for the cluster")
	}
	for i, h := range t.CACertHashes {
		if !hashShape.MatchString(h) {
			v.add(fmt.Sprintf("%s.caCertHashes[%d]", at, i), "", "%q is not sha256: with 64 hexadecimal digits", h)
		}
	}
}

func (v *validator) kubeconfig(at, s string) {
	u, err := url.Parse(s)
	switch {
	case s == "":
		v.add(at, "write the path of a kubeconfig, or an https URL", "is not set")
	case err != nil:
		v.add(at, "", "%q is neither a path nor an https URL", s)
	case u.Scheme != "" && u.Scheme != "https":
		v.add(at, "use https, or copy the file to this node", "%q is not safe to read the cluster's CA from", s)
	}
}

// Validate returns every problem of a configuration that has its defaults,
// nil if there are none.
func (r *Reset) Validate() []Problem {
	v := &validator{}
	v.socket("criSocket", r.CRISocket)
	v.absolute("certificatesDir", r.CertificatesDir)
	v.ignored("ignorePreflightErrors", r.IgnorePreflight)
	for i, f := range r.UnmountFlags {
		if !slices.Contains(unmountFlags, f) {
			v.add(fmt.Sprintf("unmountFlags[%d]", i), "use one of "+strings.Join(unmountFlags, ", "), "%q is not known", f)
		}
	}
	return v.problems
}

// Validate returns every problem of a configuration that has its defaults,
// nil if there are none.
func (u *Upgrade) Validate() []Problem {
	v := &validator{}
	for _, p := range []struct{ field, dir string }{{"apply", u.Apply.PatchesDir}, {"node", u.Node.PatchesDir}} {
		if p.dir != "" {
			v.absolute(p.field+".patches.directory", p.dir)
		}
	}
	v.policy("apply.imagePullPolicy", u.Apply.PullPolicy)
	v.policy("node.imagePullPolicy", u.Node.PullPolicy)
	v.ignored("apply.ignorePreflightErrors", u.Apply.IgnorePreflight)
	v.ignored("node.ignorePreflightErrors", u.Node.IgnorePreflight)
	v.ignored("plan.ignorePreflightErrors", u.Plan.IgnorePreflight)
	if u.Diff.ContextLines < 0 {
		v.add("diff.contextLines", "", "%d is negative", u.Diff.ContextLines)
	}
	return v.problems
}
