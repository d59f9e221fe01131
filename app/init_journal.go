package app

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"path"
	"strings"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/config/kubeadm"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/journal"
)

// unrecorded are the settings that may change from run to run, since nothing
// that stays is made of them, and the secrets.
var unrecorded = []string{
	"initConfiguration.bootstrapTokens",
	"initConfiguration.certificateKey",
	"initConfiguration.dryRun",
	"initConfiguration.patches",
	"initConfiguration.skipPhases",
	"initConfiguration.timeouts",
	"initConfiguration.nodeRegistration.ignorePreflightErrors",
	"initConfiguration.nodeRegistration.imagePullPolicy",
	"initConfiguration.nodeRegistration.imagePullSerial",
	// A skipped addon counts as disabled, and may come later.
	"clusterConfiguration.dns.disabled",
	"clusterConfiguration.proxy.disabled",
}

// remember reads what an earlier run noted of this node. Who may not read it
// goes on without: preflight says what rights are missing.
func (m *machine) remember(ctx context.Context) error {
	record, err := journal.Read(ctx, m.host)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	m.record = record
	return err
}

// recordOf is what a whole run notes of itself. C is settled.
func (m *machine) recordOf(c *config.Init) (journal.Record, error) {
	r := journal.Record{Version: 1, Use: journal.UseInit, Node: c.Node.Name, Patches: m.patchFiles}
	if l := c.Cluster.Etcd.Local; l != nil {
		r.EtcdDataDir = l.DataDir
	}
	docs, err := kubeadm.EncodeInit(c)
	if err != nil {
		return r, err
	}
	r.Config, err = journal.Flatten(docs, unrecorded...)
	return r, err
}

// sameConfiguration refuses to go on with what a run under another
// configuration has begun.
func (m *machine) sameConfiguration(ctx context.Context, now *journal.Record) error {
	if m.record == nil || m.record.Use != journal.UseInit {
		return nil
	}
	differences := journal.Differ(m.record, now)
	if len(differences) == 0 || !m.begun(ctx) {
		return nil
	}
	return differs(differences)
}

func differs(list []journal.Difference) error {
	var lines []string
	for _, d := range list {
		// Users know the setting without the kind of its document.
		if _, setting, ok := strings.Cut(d.Path, "."); ok && !strings.HasPrefix(d.Path, "patches/") {
			d.Path = setting
		}
		lines = append(lines, d.String())
	}
	return &phases.Fault{
		What: "an earlier init of this node had another configuration, and this one cannot go on from there",
		Why:  errors.New(strings.Join(lines, "\n")),
		Fixes: []string{
			"run with the configuration of that time, which " + journal.Path + " holds",
			"or begin anew, which deletes what that init made, etcd's data too: hactl reset, then the same command again",
		},
		Exit: phases.CodeUnsafe,
	}
}

// begun says whether the run that wrote the record, or phases alone, made
// anything since that another configuration would not make, too.
func (m *machine) begun(ctx context.Context) bool {
	certDir := m.record.Config["clusterConfiguration.certificatesDir"]
	files := append(manifestFiles(), kubeconfigFiles()...)
	if certDir != "" {
		files = append(files, path.Join(certDir, "ca.crt"), path.Join(certDir, "sa.key"))
	}
	if m.record.EtcdDataDir != "" {
		files = append(files, logDir(m.record.EtcdDataDir))
	}
	return m.any(ctx, files)
}

// recordedVersion is the Kubernetes version that an earlier run took for the
// same label, "" if none did: a run that goes on must not find a new patch
// release.
func (m *machine) recordedVersion(label string) string {
	if m.record == nil || m.record.Use != journal.UseInit {
		return ""
	}
	version := m.record.Config["clusterConfiguration.kubernetesVersion"]
	_, wanted, _ := strings.Cut(label, "-") // "1" or "1.37"
	if wanted == "" || !strings.HasPrefix(version, "v"+wanted+".") {
		return ""
	}
	return version
}

// repatch notes the patches that a phase alone was given, so that later runs
// use them, too. Without a record there is no whole run to tell.
func (m *machine) repatch(ctx context.Context, given string) error {
	if given == "" || m.patchFiles == nil || m.record == nil || maps.Equal(m.record.Patches, m.patchFiles) {
		return nil
	}
	r := *m.record
	r.Patches = m.patchFiles
	return journal.Write(ctx, m.host, r)
}
