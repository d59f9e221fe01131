package config

import (
	"fmt"
	"net/url"
	"slices"
)

func (v *validator) etcd(e Etcd) {
	switch {
	case e.Local != nil && e.External != nil:
		v.add("etcd", "keep one of them", "etcd.local and etcd.external exclude each other")
	case e.Local != nil:
		v.localEtcd(e.Local)
	case e.External != nil:
		v.externalEtcd(e.External)
	default:
		v.add("etcd", "", "has neither local nor external")
	}
}

func (v *validator) localEtcd(l *LocalEtcd) {
	v.absolute("etcd.local.dataDir", l.DataDir)
	v.repository("etcd.local.imageRepository", l.ImageRepository)
	v.sans("etcd.local.serverCertSANs", l.ServerCertSANs)
	v.sans("etcd.local.peerCertSANs", l.PeerCertSANs)
	v.args("etcd.local.extraArgs", l.ExtraArgs)
	v.envs("etcd.local.extraEnvs", l.ExtraEnvs)
}

func (v *validator) externalEtcd(x *ExternalEtcd) {
	const at = "etcd.external"
	switch {
	case x.CertFile != "" && x.KeyFile == "":
		v.add(at+".certFile", "set keyFile too", "stands without its key")
	case x.CertFile == "" && x.KeyFile != "":
		v.add(at+".keyFile", "set certFile too", "stands without its certificate")
	case x.CertFile != "" && x.CAFile == "":
		v.add(at+".certFile", "set caFile too", "stands without the CA of the etcd servers")
	}
	files := []struct{ field, path string }{{"caFile", x.CAFile}, {"certFile", x.CertFile}, {"keyFile", x.KeyFile}}
	for _, f := range files {
		if f.path != "" {
			v.absolute(at+"."+f.field, f.path)
		}
	}
	if len(x.Endpoints) == 0 {
		v.add(at+".endpoints", "write them as https://10.0.0.1:2379", "is empty")
	}
	tls := x.CAFile != "" || x.CertFile != "" || x.KeyFile != ""
	v.endpoints(at+".endpoints", x.Endpoints, tls)
	// Plain http is allowed here beside https endpoints: it serves metrics
	// and health only.
	if !slices.Equal(x.HTTPEndpoints, x.Endpoints) { // as by default
		v.endpoints(at+".httpEndpoints", x.HTTPEndpoints, false)
	}
}

// endpoints demands URLs of one scheme; https if certificates are given.
func (v *validator) endpoints(field string, list []string, tls bool) {
	first := ""
	for i, s := range list {
		at := fmt.Sprintf("%s[%d]", field, i)
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			v.add(at, "write it as https://10.0.0.1:2379", "%q is not a URL of an etcd member", s)
			continue
		}
		switch {
		case tls && u.Scheme == "http":
			v.add(at, "write https, or remove caFile, certFile and keyFile", "%s would send the data in clear, beside certificates", s)
		case first != "" && u.Scheme != first:
			v.add(at, "use one scheme for all endpoints", "%s mixes %s with %s", s, u.Scheme, first)
		}
		if first == "" {
			first = u.Scheme
		}
	}
}
