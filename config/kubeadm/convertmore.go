package kubeadm

import (
	"strings"

	kubeproxy "k8s.io/kube-proxy/config/v1alpha1"
	kubelet "k8s.io/kubelet/config/v1beta1"

	"github.com/hactl/hactl/config"
)

type (
	kubeletConfiguration   = kubelet.KubeletConfiguration
	kubeProxyConfiguration = kubeproxy.KubeProxyConfiguration
)

func (r *reader) convertJoin() *config.JoinNode {
	in, f := r.join, from{r: r, kind: KindJoin}
	j := config.NewJoin()
	j.Node = f.child("nodeRegistration").nodeRegistration(in.NodeRegistration)
	j.CACertPath = in.CACertPath
	j.Discovery = f.child("discovery").discovery(in.Discovery)
	if cp := in.ControlPlane; cp != nil {
		j.ControlPlane = &config.JoinControlPlane{
			Local:          f.child("controlPlane.localAPIEndpoint").endpoint(cp.LocalAPIEndpoint),
			CertificateKey: config.Secret(cp.CertificateKey),
		}
	}
	j.SkipPhases = list(in.SkipPhases)
	j.PatchesDir = directory(in.Patches)
	j.DryRun = in.DryRun
	j.Timeouts = f.child("timeouts").timeouts(in.Timeouts)
	return j
}

func (f from) discovery(in discovery) config.Discovery {
	d := config.Discovery{TLSBootstrapToken: config.Secret(in.TLSBootstrapToken)}
	if t := in.BootstrapToken; t != nil {
		d.Token = &config.TokenDiscovery{
			Token: config.Secret(t.Token), CACertHashes: list(t.CACertHashes), UnsafeSkipCAVerification: t.UnsafeSkipCAVerification,
			// A DNS name means the same in either case.
			Endpoint: f.child("bootstrapToken.apiServerEndpoint").hostPort(strings.ToLower(t.APIServerEndpoint)),
		}
	}
	if in.File != nil {
		d.File = &config.FileDiscovery{Kubeconfig: in.File.KubeConfigPath}
	}
	return d
}

func (r *reader) convertReset() *config.Reset {
	in, f := r.reset, from{r: r, kind: KindReset}
	return &config.Reset{
		CleanupTmpDir:   in.CleanupTmpDir,
		CertificatesDir: in.CertificatesDir,
		CRISocket:       f.child("criSocket").socket(in.CRISocket),
		DryRun:          in.DryRun,
		Force:           in.Force,
		IgnorePreflight: list(in.IgnorePreflightErrors),
		SkipPhases:      list(in.SkipPhases),
		UnmountFlags:    list(in.UnmountFlags),
		Timeouts:        f.child("timeouts").timeouts(in.Timeouts),
	}
}

func (r *reader) convertUpgrade() *config.Upgrade {
	in, f := r.upgrade, from{r: r, kind: KindUpgrade}
	u := config.NewUpgrade()
	u.Apply = config.UpgradeApply{
		Version:           in.Apply.KubernetesVersion,
		AllowExperimental: is(in.Apply.AllowExperimentalUpgrades, false),
		AllowRC:           is(in.Apply.AllowRCUpgrades, false),
		RenewCertificates: is(in.Apply.CertificateRenewal, u.Apply.RenewCertificates),
		DryRun:            is(in.Apply.DryRun, false),
		Etcd:              is(in.Apply.EtcdUpgrade, u.Apply.Etcd),
		Force:             is(in.Apply.ForceUpgrade, false),
		IgnorePreflight:   list(in.Apply.IgnorePreflightErrors),
		PatchesDir:        directory(in.Apply.Patches),
		PrintConfig:       is(in.Apply.PrintConfig, false),
		SkipPhases:        list(in.Apply.SkipPhases),
		PullPolicy:        in.Apply.ImagePullPolicy,
		PullSerial:        is(in.Apply.ImagePullSerial, u.Apply.PullSerial),
	}
	u.Diff = config.UpgradeDiff{Version: in.Diff.KubernetesVersion, ContextLines: in.Diff.ContextLines}
	u.Node = config.UpgradeNode{
		RenewCertificates: is(in.Node.CertificateRenewal, u.Node.RenewCertificates),
		DryRun:            is(in.Node.DryRun, false),
		Etcd:              is(in.Node.EtcdUpgrade, u.Node.Etcd),
		IgnorePreflight:   list(in.Node.IgnorePreflightErrors),
		SkipPhases:        list(in.Node.SkipPhases),
		PatchesDir:        directory(in.Node.Patches),
		PullPolicy:        in.Node.ImagePullPolicy,
		PullSerial:        is(in.Node.ImagePullSerial, u.Node.PullSerial),
	}
	u.Plan = config.UpgradePlan{
		Version:           in.Plan.KubernetesVersion,
		AllowExperimental: is(in.Plan.AllowExperimentalUpgrades, false),
		AllowRC:           is(in.Plan.AllowRCUpgrades, false),
		DryRun:            is(in.Plan.DryRun, false),
		Etcd:              is(in.Plan.EtcdUpgrade, u.Plan.Etcd),
		IgnorePreflight:   list(in.Plan.IgnorePreflightErrors),
		PrintConfig:       is(in.Plan.PrintConfig, false),
	}
	u.Timeouts = f.child("timeouts").timeouts(in.Timeouts)
	return u
}

func is(b *bool, otherwise bool) bool {
	if b == nil {
		return otherwise
	}
	return *b
}
