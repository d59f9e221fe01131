package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"strconv"

	"golang.org/x/sync/errgroup"

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

// makeKeys makes keysMade keys, as many at a time as the argument says.
func makeKeys(atOnce string) error {
	workers, err := strconv.Atoi(atOnce)
	if err != nil || workers < 1 {
		return fmt.Errorf("how many keys at a time: %q", atOnce)
	}
	var group errgroup.Group
	group.SetLimit(workers)
	for range keysMade {
		group.Go(func() error {
			_, err := rsa.GenerateKey(rand.Reader, keyBits)
			return err
		})
	}
	return group.Wait()
}

// keyTime is what a key takes on a node that does nothing else, when so many
// are made at a time: seconds of processor time. Processors that share a core
// or its memory take longer for each when all of them make keys.
func keyTime(ctx context.Context, n *nodes.Node, atOnce int) (float64, error) {
	m, err := underMeter(ctx, n, []string{meterPath, keysWord, strconv.Itoa(atOnce)})
	if err == nil && m.Code != 0 {
		err = fmt.Errorf("keys: exit code %d\n%s", m.Code, m.Stderr)
	}
	return m.CPU / keysMade, err
}
