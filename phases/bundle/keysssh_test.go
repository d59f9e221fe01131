package bundle

import (
	"crypto/ed25519"
	stdpem "encoding/pem"
	"errors"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
)

// An archive may be for the ssh key that a machine has anyway.
func TestSSHKeys(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	sshPublic, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	open, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	locked, err := ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	archive := sealed(t, Lock{Recipients: []string{string(ssh.MarshalAuthorizedKey(sshPublic))}}, "plain")
	if got, err := Unseal(Key{Identities: []config.Secret{config.Secret(stdpem.EncodeToMemory(open))}}, archive); err != nil || string(got) != "plain" {
		t.Errorf("Unseal() = %q, %v", got, err)
	}
	var fault *phases.Fault
	if _, err := Unseal(Key{Identities: []config.Secret{config.Secret(stdpem.EncodeToMemory(locked))}}, archive); !errors.As(err, &fault) || len(fault.Fixes) == 0 {
		t.Errorf("an ssh key with a passphrase: %v, want a fault", err)
	}
	if _, err := Seal(Lock{Recipients: []string{"ssh-dss AAAA"}}, nil); !errors.As(err, &fault) {
		t.Errorf("a kind of key that is not supported: %v, want a fault", err)
	}
}
