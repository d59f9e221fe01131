package kubeadm

import "slices"

const (
	key      = "e6a2eb8581237ab72a4f494f30285ec12a9694d750b9785706a83bfcbbbd2204"
	hash     = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	external = "etcd: {external: {endpoints: ['https://e1:2379', 'https://e2:2379', 'https://e3:2379'], caFile: /ca, certFile: /crt, keyFile: /key}}"
)

var fieldCases = map[string][]fieldCase{
	KindInit: slices.Concat([]fieldCase{
		{Path: "bootstrapTokens[0].token", Default: "-", Valid: "abcdef.0123456789abcdef", Invalid: "ABCDEF.0123456789abcdef", Reason: "tokens are in lower case"},
		{Path: "bootstrapTokens[0].description", Valid: "for nodes", Invalid: "5", Reason: "a number is no string", With: tokenBase},
		{Path: "bootstrapTokens[0].ttl", Default: "24h0m0s", Valid: "0s", Invalid: "1d", Reason: "there is no unit for days", With: tokenBase},
		{Path: "bootstrapTokens[0].usages", Default: "[signing, authentication]", Valid: "[authentication]", Invalid: "[signin]", Reason: "there is no such usage", With: tokenBase},
		{Path: "bootstrapTokens[0].expires", Valid: "2099-12-31T23:59:59Z", Invalid: "tomorrow", Reason: "it is no time", With: tokenBase, Stricter: true},
		{Path: "bootstrapTokens[0].groups", Default: "['system:bootstrappers:kubeadm:default-node-token']", Valid: "['system:bootstrappers:a']", Invalid: "['system:masters']", Reason: "tokens have no other groups", With: tokenBase},
		{Path: "dryRun", Valid: "true", Invalid: "'true'", Reason: "quotes make it a string"},
		{Path: "localAPIEndpoint.advertiseAddress", Default: "192.168.7.10", Valid: "192.168.7.11", Invalid: "node-1", Reason: "a name is no address"},
		{Path: "localAPIEndpoint.bindPort", Default: "6443", Valid: "7443", Invalid: "65536", Reason: "ports end at 65535"},
		{Path: "certificateKey", Valid: key, Invalid: "abcd", Reason: "an AES-256 key has 32 bytes"},
		{Path: "skipPhases", Valid: "[addon]", Invalid: "addon", Reason: "it is a list"},
		{Path: "patches.directory", Valid: "/etc/patches", Invalid: "[/etc]", Reason: "it is a string"},
	}, nodeCases("[{effect: NoSchedule, key: node-role.kubernetes.io/control-plane}]"), timeoutCases),

	KindCluster: slices.Concat([]fieldCase{
		{Path: "kubernetesVersion", Default: "v1.37.1", Valid: "v1.36.5", Invalid: "v1.35.9", Reason: "it is two minor versions back"},
		{Path: "controlPlaneEndpoint", Valid: "lb.example.com:7443", Invalid: "https://lb", Reason: "it is no URL"},
		{Path: "clusterName", Default: "kubernetes", Valid: "prod", Invalid: "1", Reason: "a number is no string"},
		{Path: "certificatesDir", Default: "/etc/kubernetes/pki", Valid: "/srv/pki", Invalid: "pki", Reason: "it is relative"},
		{Path: "imageRepository", Default: "registry.k8s.io", Valid: "registry:5000/k8s", Invalid: "https://registry", Reason: "it has a scheme"},
		{Path: "featureGates", Valid: "{RootlessControlPlane: false}", Invalid: "{PublicKeysECDSA: true}", Reason: "v1.37 has no such gate"},
		{Path: "encryptionAlgorithm", Default: "RSA-2048", Valid: "ECDSA-P384", Invalid: "ed25519", Reason: "kubeadm has no such algorithm"},
		{Path: "certificateValidityPeriod", Default: "8760h0m0s", Valid: "720h0m0s", Invalid: "-1", Reason: "a number has no unit"},
		{Path: "caCertificateValidityPeriod", Default: "87600h0m0s", Valid: "26280h0m0s", Invalid: "10y", Reason: "there is no unit for years"},
		{Path: "networking.serviceSubnet", Default: "10.96.0.0/12", Valid: "10.1.0.0/16", Invalid: "10.1.0.0/29", Reason: "kube-dns has the tenth address"},
		{Path: "networking.podSubnet", Valid: "10.2.0.0/16", Invalid: "10.2.0.0/25", Reason: "a node takes a /24"},
		{Path: "networking.dnsDomain", Default: "cluster.local", Valid: "k8s.test", Invalid: "Cluster.Local", Reason: "names are in lower case"},
		{Path: "apiServer.certSANs", Valid: "[lb.test, '*.lb.test', 10.1.2.3, 'fd00::1']", Invalid: "['lb:6443']", Reason: "a name has no port"},
		{Path: "dns.imageRepository", Valid: "r.test/dns", Invalid: "r.test/DNS", Reason: "paths are in lower case"},
		{Path: "dns.imageTag", Valid: "v1.13.0", Invalid: "1.13", Reason: "a number is no string"},
		{Path: "dns.disabled", Valid: "true", Invalid: "1", Reason: "it is true or false"},
		{Path: "proxy.disabled", Valid: "true", Invalid: "[]", Reason: "it is true or false"},
		{Path: "etcd.local.imageRepository", Valid: "r.test/etcd", Invalid: "r.test/etcd/", Reason: "a path ends in a word"},
		{Path: "etcd.local.imageTag", Valid: "3.6.6-0", Invalid: "3.6", Reason: "a number is no string"},
		{Path: "etcd.local.dataDir", Default: "/var/lib/etcd", Valid: "/data", Invalid: "data", Reason: "it is relative"},
		{Path: "etcd.local.serverCertSANs", Valid: "[etcd.test]", Invalid: "[Etcd.test]", Reason: "names are in lower case"},
		{Path: "etcd.local.peerCertSANs", Valid: "[10.1.2.3]", Invalid: "[etcd_1]", Reason: "names have no underscore"},
		{Path: "etcd.external.endpoints", Default: "-", Valid: "['https://e1:2379']", Invalid: "['http://e1:2379']", Reason: "certificates need https", With: external},
		{Path: "etcd.external.httpEndpoints", Default: "['https://e1:2379', 'https://e2:2379', 'https://e3:2379']", Valid: "['http://e1:2378']", Invalid: "[e1]", Reason: "it is no URL", With: external},
		{Path: "etcd.external.caFile", Default: "/ca", Valid: "/ca.crt", Invalid: "ca.crt", Reason: "it is relative", With: external},
		{Path: "etcd.external.certFile", Default: "/crt", Valid: "/tls.crt", Invalid: "tls.crt", Reason: "it is relative", With: external},
		{Path: "etcd.external.keyFile", Default: "/key", Valid: "/tls.key", Invalid: "tls.key", Reason: "it is relative", With: external},
	}, argCases("etcd.local."), envCases("etcd.local."),
		componentCases("apiServer."), componentCases("controllerManager."), componentCases("scheduler.")),

	KindJoin: slices.Concat([]fieldCase{
		{Path: "dryRun", Valid: "true", Invalid: "dry", Reason: "it is true or false"},
		{Path: "caCertPath", Default: "/etc/kubernetes/pki/ca.crt", Valid: "/srv/ca.crt", Invalid: "/srv/ca.pem", Reason: "it ends in .crt"},
		{Path: "discovery.bootstrapToken.token", Default: "abcdef.0123456789abcdef", Valid: "012345.0123456789abcdef", Invalid: "token", Reason: "it is too short"},
		{Path: "discovery.bootstrapToken.apiServerEndpoint", Default: "lb:6443", Valid: "10.1.2.3:6443", Invalid: "lb", Reason: "it has no port"},
		{Path: "discovery.bootstrapToken.caCertHashes", Valid: "['" + hash + "']", Invalid: "[abc]", Reason: "it is no hash", Looser: true},
		{Path: "discovery.bootstrapToken.unsafeSkipCAVerification", Default: "true", Valid: "true", Invalid: "{}", Reason: "it is true or false"},
		{Path: "discovery.file.kubeConfigPath", Default: "-", Valid: "https://a.test/info", Invalid: "http://a.test/info", Reason: "anyone can change it on the way", With: "discovery: {tlsBootstrapToken: abcdef.0123456789abcdef}"},
		{Path: "discovery.tlsBootstrapToken", Default: "abcdef.0123456789abcdef", Valid: "012345.0123456789abcdef", Invalid: "token", Reason: "it is too short"},
		{Path: "controlPlane.localAPIEndpoint.advertiseAddress", Default: "-", Valid: "192.168.7.11", Invalid: "127.0.0.1", Reason: "no other node reaches it"},
		{Path: "controlPlane.localAPIEndpoint.bindPort", Default: "6443", Valid: "7443", Invalid: "-1", Reason: "ports begin at 1", With: joinBase},
		{Path: "controlPlane.certificateKey", Valid: key, Invalid: "xyz", Reason: "it is not hexadecimal", With: joinBase},
		{Path: "skipPhases", Valid: "[preflight]", Invalid: "{}", Reason: "it is a list"},
		{Path: "patches.directory", Valid: "/etc/patches", Invalid: "true", Reason: "it is a string"},
	}, nodeCases(""), timeoutCases),

	KindReset: slices.Concat([]fieldCase{
		{Path: "cleanupTmpDir", Valid: "true", Invalid: "1", Reason: "it is true or false"},
		{Path: "certificatesDir", Default: "/etc/kubernetes/pki", Valid: "/srv/pki", Invalid: "pki", Reason: "it is relative"},
		{Path: "criSocket", Default: "unix:///run/c.sock", Valid: "unix:///run/d.sock", Invalid: "tcp://1.2.3.4:5", Reason: "the scheme is unix", Looser: true},
		{Path: "dryRun", Valid: "true", Invalid: "5", Reason: "it is true or false"},
		{Path: "force", Valid: "true", Invalid: "force", Reason: "it is true or false"},
		{Path: "ignorePreflightErrors", Valid: "[all]", Invalid: "[all, Swap]", Reason: "all stands alone", Looser: true},
		{Path: "skipPhases", Valid: "[cleanup-node]", Invalid: "x", Reason: "it is a list"},
		{Path: "unmountFlags", Valid: "[MNT_FORCE]", Invalid: "[FORCE]", Reason: "there is no such flag"},
	}, timeoutCases),

	KindUpgrade: slices.Concat([]fieldCase{
		{Path: "apply.kubernetesVersion", Valid: "v1.37.1", Invalid: "1.37", Reason: "a number is no string"},
		{Path: "apply.allowExperimentalUpgrades", Valid: "true", Invalid: "5", Reason: "it is true or false"},
		{Path: "apply.allowRCUpgrades", Valid: "true", Invalid: "5", Reason: "it is true or false"},
		{Path: "apply.certificateRenewal", Default: "true", Valid: "false", Invalid: "5", Reason: "it is true or false"},
		{Path: "apply.dryRun", Valid: "true", Invalid: "5", Reason: "it is true or false"},
		{Path: "apply.etcdUpgrade", Default: "true", Valid: "false", Invalid: "5", Reason: "it is true or false"},
		{Path: "apply.forceUpgrade", Valid: "true", Invalid: "5", Reason: "it is true or false"},
		{Path: "apply.ignorePreflightErrors", Valid: "[CreateJob]", Invalid: "[ALL, CreateJob]", Reason: "all stands alone", Looser: true},
		{Path: "apply.patches.directory", Valid: "/etc/patches", Invalid: "patches", Reason: "it is relative"},
		{Path: "apply.printConfig", Valid: "true", Invalid: "5", Reason: "it is true or false"},
		{Path: "apply.skipPhases", Valid: "[addon]", Invalid: "addon", Reason: "it is a list"},
		{Path: "apply.imagePullPolicy", Default: "IfNotPresent", Valid: "Always", Invalid: "Sometimes", Reason: "there is no such policy"},
		{Path: "apply.imagePullSerial", Default: "true", Valid: "false", Invalid: "5", Reason: "it is true or false"},
		{Path: "diff.kubernetesVersion", Valid: "v1.37.1", Invalid: "1.37", Reason: "a number is no string"},
		{Path: "diff.contextLines", Valid: "5", Invalid: "-5", Reason: "there are no fewer lines than none", Looser: true},
		{Path: "node.certificateRenewal", Default: "true", Valid: "false", Invalid: "5", Reason: "it is true or false"},
		{Path: "node.dryRun", Valid: "true", Invalid: "5", Reason: "it is true or false"},
		{Path: "node.etcdUpgrade", Default: "true", Valid: "false", Invalid: "5", Reason: "it is true or false"},
		{Path: "node.ignorePreflightErrors", Valid: "[all]", Invalid: "[all, x]", Reason: "all stands alone", Looser: true},
		{Path: "node.skipPhases", Valid: "[preflight]", Invalid: "x", Reason: "it is a list"},
		{Path: "node.patches.directory", Valid: "/etc/patches", Invalid: "patches", Reason: "it is relative"},
		{Path: "node.imagePullPolicy", Default: "IfNotPresent", Valid: "Never", Invalid: "never", Reason: "case matters"},
		{Path: "node.imagePullSerial", Default: "true", Valid: "false", Invalid: "5", Reason: "it is true or false"},
		{Path: "plan.kubernetesVersion", Valid: "v1.37.1", Invalid: "1.37", Reason: "a number is no string"},
		{Path: "plan.allowExperimentalUpgrades", Valid: "true", Invalid: "5", Reason: "it is true or false"},
		{Path: "plan.allowRCUpgrades", Valid: "true", Invalid: "5", Reason: "it is true or false"},
		{Path: "plan.dryRun", Valid: "true", Invalid: "5", Reason: "it is true or false"},
		{Path: "plan.etcdUpgrade", Default: "true", Valid: "false", Invalid: "5", Reason: "it is true or false"},
		{Path: "plan.ignorePreflightErrors", Valid: "[x]", Invalid: "x", Reason: "it is a list"},
		{Path: "plan.printConfig", Valid: "true", Invalid: "5", Reason: "it is true or false"},
	}, timeoutCases),
}

const (
	tokenBase = "bootstrapTokens: [{token: abcdef.0123456789abcdef}]"
	joinBase  = "controlPlane: {localAPIEndpoint: {advertiseAddress: 192.168.7.11}}"
)

func nodeCases(taints string) []fieldCase {
	return []fieldCase{
		{Path: "nodeRegistration.name", Default: "-", Valid: "n-2", Invalid: "n_2", Reason: "names have no underscore"},
		{Path: "nodeRegistration.criSocket", Default: "unix:///run/c.sock", Valid: "unix:///run/d.sock", Invalid: "npipe:////d", Reason: "the scheme is unix", Looser: true},
		{Path: "nodeRegistration.taints", Default: taints, Valid: "[{key: a, effect: NoExecute}]", Invalid: "[{key: a, effect: Never}]", Reason: "there is no such effect", Looser: true},
		{Path: "nodeRegistration.kubeletExtraArgs[0].name", Default: "-", Valid: "v", Invalid: "''", Reason: "it is empty"},
		{Path: "nodeRegistration.kubeletExtraArgs[0].value", Valid: "x", Invalid: "4", Reason: "a number is no string", With: "nodeRegistration: {name: n-1, criSocket: 'unix:///c', kubeletExtraArgs: [{name: v}]}", Default: "''"},
		{Path: "nodeRegistration.ignorePreflightErrors", Valid: "[Swap, Mem]", Invalid: "[Swap, all]", Reason: "all stands alone", Looser: true},
		{Path: "nodeRegistration.imagePullPolicy", Default: "IfNotPresent", Valid: "Never", Invalid: "Once", Reason: "there is no such policy"},
		{Path: "nodeRegistration.imagePullSerial", Default: "true", Valid: "false", Invalid: "one", Reason: "it is true or false"},
	}
}

// args are files with one argument.
var args = map[string]string{
	"etcd.local.":        "etcd: {local: {extraArgs: [{name: v}]}}",
	"apiServer.":         "apiServer: {extraArgs: [{name: v}]}",
	"controllerManager.": "controllerManager: {extraArgs: [{name: v}]}",
	"scheduler.":         "scheduler: {extraArgs: [{name: v}]}",
}

func argCases(prefix string) []fieldCase {
	return []fieldCase{
		{Path: prefix + "extraArgs[0].name", Default: "-", Valid: "v", Invalid: "--v", Reason: "names have no dashes", Looser: true},
		{Path: prefix + "extraArgs[0].value", Default: "''", Valid: "x", Invalid: "true", Reason: "a boolean is no string", With: args[prefix]},
	}
}

func envCases(prefix string) []fieldCase {
	return []fieldCase{{
		Path: prefix + "extraEnvs", Valid: "[{name: A, value: b}, {name: C, valueFrom: {fieldRef: {apiVersion: v1, fieldPath: status.podIP}}}]",
		Invalid: "[{name: '', value: b}]", Reason: "it has no name", Looser: true,
	}}
}

func componentCases(prefix string) []fieldCase {
	return slices.Concat(argCases(prefix), envCases(prefix), []fieldCase{
		{Path: prefix + "extraVolumes[0].name", Default: "-", Valid: "logs", Invalid: "Logs", Reason: "names are in lower case", Looser: true, With: volume(prefix)},
		{Path: prefix + "extraVolumes[0].hostPath", Default: "-", Valid: "/a", Invalid: "a", Reason: "it is relative", Looser: true, With: volume(prefix)},
		{Path: prefix + "extraVolumes[0].mountPath", Default: "-", Valid: "/a", Invalid: "a", Reason: "it is relative", Looser: true, With: volume(prefix)},
		{Path: prefix + "extraVolumes[0].readOnly", Valid: "true", Invalid: "ro", Reason: "it is true or false", With: volume(prefix)},
		{Path: prefix + "extraVolumes[0].pathType", Valid: "File", Invalid: "Pipe", Reason: "there is no such type", Looser: true, With: volume(prefix)},
	})
}

func volume(prefix string) string {
	return prefix[:len(prefix)-1] + ": {extraVolumes: [{name: v, hostPath: /v, mountPath: /v}]}"
}

var timeoutCases = []fieldCase{
	{Path: "timeouts.controlPlaneComponentHealthCheck", Default: "4m0s", Valid: "1m0s", Invalid: "5", Reason: "a number has no unit"},
	{Path: "timeouts.kubeletHealthCheck", Default: "4m0s", Valid: "1m0s", Invalid: "5", Reason: "a number has no unit"},
	{Path: "timeouts.kubernetesAPICall", Default: "1m0s", Valid: "2m0s", Invalid: "fast", Reason: "it is no duration"},
	{Path: "timeouts.etcdAPICall", Default: "2m0s", Valid: "1m0s", Invalid: "[1m]", Reason: "it is no list"},
	{Path: "timeouts.tlsBootstrap", Default: "5m0s", Valid: "1m0s", Invalid: "5 m", Reason: "there is no space before the unit"},
	{Path: "timeouts.discovery", Default: "5m0s", Valid: "1m0s", Invalid: "true", Reason: "a boolean has no unit"},
	{Path: "timeouts.upgradeManifests", Default: "5m0s", Valid: "1m0s", Invalid: "{}", Reason: "it is no map"},
}
