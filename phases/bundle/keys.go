package bundle

import (
	"errors"
	"fmt"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"golang.org/x/crypto/ssh"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
)

// parseRecipient reads one public key. The error is a *phases.Fault.
func parseRecipient(text string) (age.Recipient, error) {
	if strings.HasPrefix(text, "ssh-") {
		r, err := agessh.ParseRecipient(text)
		if err != nil {
			return nil, &phases.Fault{
				What:  fmt.Sprintf("%q is no public key of ssh that can be used", shorten(text)),
				Why:   err,
				Fixes: []string{"give one of kind ssh-ed25519 or ssh-rsa, the whole line of the .pub file"},
				Exit:  phases.CodeUsage,
			}
		}
		return r, nil
	}
	parsed, err := age.ParseRecipients(strings.NewReader(text))
	if err != nil || len(parsed) != 1 {
		return nil, &phases.Fault{
			What:  fmt.Sprintf("%q is no recipient", shorten(text)),
			Fixes: []string{"give the public key that age-keygen prints, which begins with age1, or that of an ssh key"},
			Exit:  phases.CodeUsage,
		}
	}
	return parsed[0], nil
}

// parseIdentities reads a file with private keys. The error is a
// *phases.Fault and shows nothing of the file.
func parseIdentities(file config.Secret) ([]age.Identity, error) {
	if strings.HasPrefix(strings.TrimSpace(file.Reveal()), "-----BEGIN") {
		return parseSSH(file)
	}
	parsed, err := age.ParseIdentities(strings.NewReader(file.Reveal()))
	if err != nil {
		return nil, &phases.Fault{
			What:  "a key file holds no private key of age or ssh",
			Fixes: []string{"give the file that age-keygen wrote, with a line that begins with AGE-SECRET-KEY-, or an ssh key"},
			Exit:  phases.CodeUsage,
		}
	}
	return parsed, nil
}

// parseSSH reads a private key of ssh that needs no passphrase.
func parseSSH(file config.Secret) ([]age.Identity, error) {
	identity, err := agessh.ParseIdentity([]byte(file.Reveal()))
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		return nil, &phases.Fault{
			What:  "the ssh key has a passphrase, which hactl does not ask for",
			Fixes: []string{"decrypt the archive with age itself, or export for a key of age-keygen"},
			Exit:  phases.CodeUsage,
		}
	case err != nil:
		return nil, &phases.Fault{
			What:  "a key file holds no private key of ssh that can be used",
			Why:   err,
			Fixes: []string{"give one of kind ed25519 or RSA"},
			Exit:  phases.CodeUsage,
		}
	}
	return []age.Identity{identity}, nil
}

// shorten keeps a text that may be anything, even a private key by mistake,
// from being shown.
func shorten(text string) string {
	if len(text) <= 8 {
		return text
	}
	return text[:8] + "…"
}
