package kubeadm

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The wire types of kubeadm.k8s.io, one set for all versions (kubeadm v1.37,
// apis/kubeadm/v1beta4/types.go; v1.36 and v1.22 for the older versions).
// A field that not every version has is marked:
//
//	in:"v1beta4 v1"  the versions that have it; without the tag, all do
//	secret:"true"    its value never stands in an error
//
// The JSON tags are those of v1beta4, since only v1beta4 is written. What is
// older than v1beta4 is empty there: upgrade moves it to its new place.
type (
	typeMeta struct {
		Kind       string `json:"kind,omitempty"`
		APIVersion string `json:"apiVersion,omitempty"`
	}

	initConfiguration struct {
		typeMeta         `json:",inline"`
		BootstrapTokens  []bootstrapToken `json:"bootstrapTokens,omitempty"`
		DryRun           bool             `json:"dryRun,omitempty" in:"v1beta4 v1"`
		NodeRegistration nodeRegistration `json:"nodeRegistration,omitempty"`
		LocalAPIEndpoint apiEndpoint      `json:"localAPIEndpoint,omitempty"`
		CertificateKey   string           `json:"certificateKey,omitempty" secret:"true"`
		SkipPhases       []string         `json:"skipPhases,omitempty" in:"v1beta3 v1beta4 v1"`
		Patches          *patches         `json:"patches,omitempty" in:"v1beta3 v1beta4 v1"`
		Timeouts         *timeouts        `json:"timeouts,omitempty" in:"v1beta4 v1"`
	}

	bootstrapToken struct {
		Token       string           `json:"token,omitempty" secret:"true"`
		Description string           `json:"description,omitempty"`
		TTL         *metav1.Duration `json:"ttl,omitempty"`
		Expires     *metav1.Time     `json:"expires,omitempty"`
		Usages      []string         `json:"usages,omitempty"`
		Groups      []string         `json:"groups,omitempty"`
	}

	nodeRegistration struct {
		Name                  string            `json:"name,omitempty"`
		CRISocket             string            `json:"criSocket,omitempty"`
		Taints                []corev1.Taint    `json:"taints"`
		KubeletExtraArgs      argList           `json:"kubeletExtraArgs,omitempty"`
		IgnorePreflightErrors []string          `json:"ignorePreflightErrors,omitempty"`
		ImagePullPolicy       corev1.PullPolicy `json:"imagePullPolicy,omitempty" in:"v1beta3 v1beta4 v1"`
		ImagePullSerial       *bool             `json:"imagePullSerial,omitempty" in:"v1beta4 v1"`
	}

	apiEndpoint struct {
		AdvertiseAddress string `json:"advertiseAddress,omitempty"`
		BindPort         int32  `json:"bindPort,omitempty"`
	}

	patches struct {
		Directory string `json:"directory,omitempty"`
	}

	timeouts struct {
		ControlPlaneComponentHealthCheck *metav1.Duration `json:"controlPlaneComponentHealthCheck,omitempty"`
		KubeletHealthCheck               *metav1.Duration `json:"kubeletHealthCheck,omitempty"`
		KubernetesAPICall                *metav1.Duration `json:"kubernetesAPICall,omitempty"`
		EtcdAPICall                      *metav1.Duration `json:"etcdAPICall,omitempty"`
		TLSBootstrap                     *metav1.Duration `json:"tlsBootstrap,omitempty"`
		Discovery                        *metav1.Duration `json:"discovery,omitempty"`
		UpgradeManifests                 *metav1.Duration `json:"upgradeManifests,omitempty"`
	}
)

type (
	clusterConfiguration struct {
		typeMeta                    `json:",inline"`
		Etcd                        etcd             `json:"etcd,omitempty"`
		Networking                  networking       `json:"networking,omitempty"`
		KubernetesVersion           string           `json:"kubernetesVersion,omitempty"`
		ControlPlaneEndpoint        string           `json:"controlPlaneEndpoint,omitempty"`
		APIServer                   apiServer        `json:"apiServer,omitempty"`
		ControllerManager           component        `json:"controllerManager,omitempty"`
		Scheduler                   component        `json:"scheduler,omitempty"`
		DNS                         dns              `json:"dns,omitempty"`
		Proxy                       proxy            `json:"proxy,omitempty" in:"v1beta4 v1"`
		CertificatesDir             string           `json:"certificatesDir,omitempty"`
		ImageRepository             string           `json:"imageRepository,omitempty"`
		UseHyperKubeImage           *bool            `json:"useHyperKubeImage,omitempty" in:"v1beta2"`
		FeatureGates                map[string]bool  `json:"featureGates,omitempty"`
		ClusterName                 string           `json:"clusterName,omitempty"`
		EncryptionAlgorithm         string           `json:"encryptionAlgorithm,omitempty" in:"v1beta4 v1"`
		CertificateValidityPeriod   *metav1.Duration `json:"certificateValidityPeriod,omitempty" in:"v1beta4 v1"`
		CACertificateValidityPeriod *metav1.Duration `json:"caCertificateValidityPeriod,omitempty" in:"v1beta4 v1"`
	}

	component struct {
		ExtraArgs    argList         `json:"extraArgs,omitempty"`
		ExtraVolumes []hostPathMount `json:"extraVolumes,omitempty"`
		ExtraEnvs    []corev1.EnvVar `json:"extraEnvs,omitempty" in:"v1beta4 v1"`
	}

	apiServer struct {
		component              `json:",inline"`
		CertSANs               []string         `json:"certSANs,omitempty"`
		TimeoutForControlPlane *metav1.Duration `json:"timeoutForControlPlane,omitempty" in:"v1beta2 v1beta3"`
	}

	// argList is a list of name and value; before v1beta4 it was a map.
	argList []arg

	arg struct {
		Name        string `json:"name"`
		Value       string `json:"value"`
		MergeMethod string `json:"mergeMethod,omitempty" in:"v1"`
	}

	hostPathMount struct {
		Name      string              `json:"name"`
		HostPath  string              `json:"hostPath"`
		MountPath string              `json:"mountPath"`
		ReadOnly  bool                `json:"readOnly,omitempty"`
		PathType  corev1.HostPathType `json:"pathType,omitempty"`
	}

	dns struct {
		Type      *string `json:"type,omitempty" in:"v1beta2"`
		imageMeta `json:",inline"`
		Disabled  bool `json:"disabled,omitempty" in:"v1beta4 v1"`
	}

	imageMeta struct {
		ImageRepository string `json:"imageRepository,omitempty"`
		ImageTag        string `json:"imageTag,omitempty"`
	}

	proxy struct {
		Disabled bool `json:"disabled,omitempty"`
	}

	networking struct {
		ServiceSubnet string `json:"serviceSubnet,omitempty"`
		PodSubnet     string `json:"podSubnet,omitempty"`
		DNSDomain     string `json:"dnsDomain,omitempty"`
	}

	etcd struct {
		Local    *localEtcd    `json:"local,omitempty"`
		External *externalEtcd `json:"external,omitempty"`
	}

	localEtcd struct {
		imageMeta      `json:",inline"`
		DataDir        string          `json:"dataDir"`
		ExtraArgs      argList         `json:"extraArgs,omitempty"`
		ExtraEnvs      []corev1.EnvVar `json:"extraEnvs,omitempty" in:"v1beta4 v1"`
		ServerCertSANs []string        `json:"serverCertSANs,omitempty"`
		PeerCertSANs   []string        `json:"peerCertSANs,omitempty"`
	}

	externalEtcd struct {
		Endpoints     []string `json:"endpoints"`
		HTTPEndpoints []string `json:"httpEndpoints,omitempty" in:"v1beta4 v1"`
		CAFile        string   `json:"caFile"`
		CertFile      string   `json:"certFile"`
		KeyFile       string   `json:"keyFile"`
	}
)

type (
	joinConfiguration struct {
		typeMeta         `json:",inline"`
		DryRun           bool              `json:"dryRun,omitempty" in:"v1beta4 v1"`
		NodeRegistration nodeRegistration  `json:"nodeRegistration,omitempty"`
		CACertPath       string            `json:"caCertPath,omitempty"`
		Discovery        discovery         `json:"discovery"`
		ControlPlane     *joinControlPlane `json:"controlPlane,omitempty"`
		SkipPhases       []string          `json:"skipPhases,omitempty" in:"v1beta3 v1beta4 v1"`
		Patches          *patches          `json:"patches,omitempty" in:"v1beta3 v1beta4 v1"`
		Timeouts         *timeouts         `json:"timeouts,omitempty" in:"v1beta4 v1"`
	}

	joinControlPlane struct {
		LocalAPIEndpoint apiEndpoint `json:"localAPIEndpoint,omitempty"`
		CertificateKey   string      `json:"certificateKey,omitempty" secret:"true"`
	}

	discovery struct {
		BootstrapToken    *tokenDiscovery  `json:"bootstrapToken,omitempty"`
		File              *fileDiscovery   `json:"file,omitempty"`
		TLSBootstrapToken string           `json:"tlsBootstrapToken,omitempty" secret:"true"`
		Timeout           *metav1.Duration `json:"timeout,omitempty" in:"v1beta2 v1beta3"`
	}

	tokenDiscovery struct {
		Token                    string   `json:"token" secret:"true"`
		APIServerEndpoint        string   `json:"apiServerEndpoint,omitempty"`
		CACertHashes             []string `json:"caCertHashes,omitempty"`
		UnsafeSkipCAVerification bool     `json:"unsafeSkipCAVerification,omitempty"`
	}

	fileDiscovery struct {
		KubeConfigPath string `json:"kubeConfigPath"`
	}

	resetConfiguration struct {
		typeMeta              `json:",inline"`
		CleanupTmpDir         bool      `json:"cleanupTmpDir,omitempty"`
		CertificatesDir       string    `json:"certificatesDir,omitempty"`
		CRISocket             string    `json:"criSocket,omitempty"`
		DryRun                bool      `json:"dryRun,omitempty"`
		Force                 bool      `json:"force,omitempty"`
		IgnorePreflightErrors []string  `json:"ignorePreflightErrors,omitempty"`
		SkipPhases            []string  `json:"skipPhases,omitempty"`
		UnmountFlags          []string  `json:"unmountFlags,omitempty"`
		Timeouts              *timeouts `json:"timeouts,omitempty"`
	}

	upgradeConfiguration struct {
		typeMeta `json:",inline"`
		Apply    upgradeApply `json:"apply,omitempty"`
		Diff     upgradeDiff  `json:"diff,omitempty"`
		Node     upgradeNode  `json:"node,omitempty"`
		Plan     upgradePlan  `json:"plan,omitempty"`
		Timeouts *timeouts    `json:"timeouts,omitempty"`
	}

	upgradeApply struct {
		KubernetesVersion         string            `json:"kubernetesVersion,omitempty"`
		AllowExperimentalUpgrades *bool             `json:"allowExperimentalUpgrades,omitempty"`
		AllowRCUpgrades           *bool             `json:"allowRCUpgrades,omitempty"`
		CertificateRenewal        *bool             `json:"certificateRenewal,omitempty"`
		DryRun                    *bool             `json:"dryRun,omitempty"`
		EtcdUpgrade               *bool             `json:"etcdUpgrade,omitempty"`
		ForceUpgrade              *bool             `json:"forceUpgrade,omitempty"`
		IgnorePreflightErrors     []string          `json:"ignorePreflightErrors,omitempty"`
		Patches                   *patches          `json:"patches,omitempty"`
		PrintConfig               *bool             `json:"printConfig,omitempty"`
		SkipPhases                []string          `json:"skipPhases,omitempty"`
		ImagePullPolicy           corev1.PullPolicy `json:"imagePullPolicy,omitempty"`
		ImagePullSerial           *bool             `json:"imagePullSerial,omitempty"`
	}

	upgradeDiff struct {
		KubernetesVersion string `json:"kubernetesVersion,omitempty"`
		ContextLines      int    `json:"contextLines,omitempty"`
	}

	upgradeNode struct {
		CertificateRenewal    *bool             `json:"certificateRenewal,omitempty"`
		DryRun                *bool             `json:"dryRun,omitempty"`
		EtcdUpgrade           *bool             `json:"etcdUpgrade,omitempty"`
		IgnorePreflightErrors []string          `json:"ignorePreflightErrors,omitempty"`
		SkipPhases            []string          `json:"skipPhases,omitempty"`
		Patches               *patches          `json:"patches,omitempty"`
		ImagePullPolicy       corev1.PullPolicy `json:"imagePullPolicy,omitempty"`
		ImagePullSerial       *bool             `json:"imagePullSerial,omitempty"`
	}

	upgradePlan struct {
		KubernetesVersion         string   `json:"kubernetesVersion,omitempty"`
		AllowExperimentalUpgrades *bool    `json:"allowExperimentalUpgrades,omitempty"`
		AllowRCUpgrades           *bool    `json:"allowRCUpgrades,omitempty"`
		DryRun                    *bool    `json:"dryRun,omitempty"`
		EtcdUpgrade               *bool    `json:"etcdUpgrade,omitempty"`
		IgnorePreflightErrors     []string `json:"ignorePreflightErrors,omitempty"`
		PrintConfig               *bool    `json:"printConfig,omitempty"`
	}
)
