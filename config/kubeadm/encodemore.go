package kubeadm

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hactl/hactl/config"
)

func initTo(c *config.Init) *initConfiguration {
	out := &initConfiguration{
		typeMeta:         meta(KindInit),
		DryRun:           c.DryRun,
		NodeRegistration: nodeTo(&c.Node),
		LocalAPIEndpoint: endpointTo(c.Local),
		CertificateKey:   c.CertificateKey.Reveal(),
		SkipPhases:       c.SkipPhases,
		Patches:          patchesTo(c.PatchesDir),
		Timeouts:         timeoutsTo(c.Timeouts),
	}
	for _, t := range c.Tokens {
		out.BootstrapTokens = append(out.BootstrapTokens, tokenTo(t))
	}
	return out
}

func tokenTo(t config.Token) bootstrapToken {
	out := bootstrapToken{Token: t.Value.Reveal(), Description: t.Description, Usages: t.Usages, Groups: t.Groups}
	if t.Expires.IsZero() {
		out.TTL = &metav1.Duration{Duration: t.TTL}
	} else {
		out.Expires = &metav1.Time{Time: t.Expires}
	}
	return out
}

func nodeTo(n *config.Node) nodeRegistration {
	return nodeRegistration{
		Name:                  n.Name,
		CRISocket:             n.CRISocket,
		Taints:                n.Taints,
		KubeletExtraArgs:      argsTo(n.KubeletArgs),
		IgnorePreflightErrors: n.IgnorePreflight,
		ImagePullPolicy:       n.PullPolicy,
		ImagePullSerial:       &n.PullSerial,
	}
}

func endpointTo(e config.Endpoint) apiEndpoint {
	out := apiEndpoint{BindPort: int32(e.Port)}
	if e.Address.IsValid() {
		out.AdvertiseAddress = e.Address.String()
	}
	return out
}

func patchesTo(dir string) *patches {
	if dir == "" {
		return nil
	}
	return &patches{dir}
}

func timeoutsTo(t config.Timeouts) *timeouts {
	if t == (config.Timeouts{}) {
		return nil
	}
	return &timeouts{
		ControlPlaneComponentHealthCheck: duration(t.ControlPlane),
		KubeletHealthCheck:               duration(t.Kubelet),
		KubernetesAPICall:                duration(t.KubernetesAPI),
		EtcdAPICall:                      duration(t.Etcd),
		TLSBootstrap:                     duration(t.TLSBootstrap),
		Discovery:                        duration(t.Discovery),
		UpgradeManifests:                 duration(t.UpgradeManifests),
	}
}

func joinTo(j *config.JoinNode) *joinConfiguration {
	out := &joinConfiguration{
		typeMeta:         meta(KindJoin),
		DryRun:           j.DryRun,
		NodeRegistration: nodeTo(&j.Node),
		CACertPath:       j.CACertPath,
		Discovery:        discovery{TLSBootstrapToken: j.Discovery.TLSBootstrapToken.Reveal()},
		SkipPhases:       j.SkipPhases,
		Patches:          patchesTo(j.PatchesDir),
		Timeouts:         timeoutsTo(j.Timeouts),
	}
	if t := j.Discovery.Token; t != nil {
		out.Discovery.BootstrapToken = &tokenDiscovery{
			Token: t.Token.Reveal(), APIServerEndpoint: t.Endpoint.String(),
			CACertHashes: t.CACertHashes, UnsafeSkipCAVerification: t.UnsafeSkipCAVerification,
		}
	}
	if f := j.Discovery.File; f != nil {
		out.Discovery.File = &fileDiscovery{f.Kubeconfig}
	}
	if cp := j.ControlPlane; cp != nil {
		out.ControlPlane = &joinControlPlane{endpointTo(cp.Local), cp.CertificateKey.Reveal()}
	}
	return out
}

func resetTo(r *config.Reset) *resetConfiguration {
	return &resetConfiguration{
		typeMeta:              meta(KindReset),
		CleanupTmpDir:         r.CleanupTmpDir,
		CertificatesDir:       r.CertificatesDir,
		CRISocket:             r.CRISocket,
		DryRun:                r.DryRun,
		Force:                 r.Force,
		IgnorePreflightErrors: r.IgnorePreflight,
		SkipPhases:            r.SkipPhases,
		UnmountFlags:          r.UnmountFlags,
		Timeouts:              timeoutsTo(r.Timeouts),
	}
}

func upgradeTo(u *config.Upgrade) *upgradeConfiguration {
	return &upgradeConfiguration{
		typeMeta: meta(KindUpgrade),
		Apply: upgradeApply{
			KubernetesVersion:         u.Apply.Version,
			AllowExperimentalUpgrades: ifSet(u.Apply.AllowExperimental),
			AllowRCUpgrades:           ifSet(u.Apply.AllowRC),
			CertificateRenewal:        &u.Apply.RenewCertificates,
			DryRun:                    ifSet(u.Apply.DryRun),
			EtcdUpgrade:               &u.Apply.Etcd,
			ForceUpgrade:              ifSet(u.Apply.Force),
			IgnorePreflightErrors:     u.Apply.IgnorePreflight,
			Patches:                   patchesTo(u.Apply.PatchesDir),
			PrintConfig:               ifSet(u.Apply.PrintConfig),
			SkipPhases:                u.Apply.SkipPhases,
			ImagePullPolicy:           u.Apply.PullPolicy,
			ImagePullSerial:           &u.Apply.PullSerial,
		},
		Diff: upgradeDiff{u.Diff.Version, u.Diff.ContextLines},
		Node: upgradeNode{
			CertificateRenewal:    &u.Node.RenewCertificates,
			DryRun:                ifSet(u.Node.DryRun),
			EtcdUpgrade:           &u.Node.Etcd,
			IgnorePreflightErrors: u.Node.IgnorePreflight,
			SkipPhases:            u.Node.SkipPhases,
			Patches:               patchesTo(u.Node.PatchesDir),
			ImagePullPolicy:       u.Node.PullPolicy,
			ImagePullSerial:       &u.Node.PullSerial,
		},
		Plan: upgradePlan{
			KubernetesVersion:         u.Plan.Version,
			AllowExperimentalUpgrades: ifSet(u.Plan.AllowExperimental),
			AllowRCUpgrades:           ifSet(u.Plan.AllowRC),
			DryRun:                    ifSet(u.Plan.DryRun),
			EtcdUpgrade:               &u.Plan.Etcd,
			IgnorePreflightErrors:     u.Plan.IgnorePreflight,
			PrintConfig:               ifSet(u.Plan.PrintConfig),
		},
		Timeouts: timeoutsTo(u.Timeouts),
	}
}

// ifSet leaves out a switch that is off, as it is by default.
func ifSet(b bool) *bool {
	if !b {
		return nil
	}
	return &b
}
