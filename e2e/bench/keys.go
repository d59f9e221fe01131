package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"

	"github.com/hactl/hactl/e2e/nodes"
)

const (
	// keysWord makes this program make keys.
	keysWord = "keys"
	// keysMade is many, because how long one takes is a matter of luck.
	keysMade = 100
	keyBits  = 2048
)

// How many RSA keys a command of either tool makes, when the configuration
// names no algorithm: on a first control plane three CAs, the key for service
// accounts, seven certificates and five kubeconfig files (KUBEADM.md lists
// them); on a further one the same certificates and three kubeconfig files.
const (
	keysOfInit = 16
	keysOfJoin = 10
)

func makeKeys() error {
	for range keysMade {
		if _, err := rsa.GenerateKey(rand.Reader, keyBits); err != nil {
			return err
		}
	}
	return nil
}

// keyTime is what a key takes on a node that does nothing else: seconds of
// processor time.
func keyTime(ctx context.Context, n *nodes.Node) (float64, error) {
	m, err := underMeter(ctx, n, []string{meterPath, keysWord})
	if err == nil && m.Code != 0 {
		err = fmt.Errorf("keys: exit code %d\n%s", m.Code, m.Stderr)
	}
	return m.CPU / keysMade, err
}
