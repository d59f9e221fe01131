package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
)

const (
	// MinPassphrase is how many characters a passphrase has at least: an
	// archive holds the keys to the cluster, and anyone who has the file can
	// try as many passphrases as they like.
	MinPassphrase = 12
	// maxWork is the highest cost of a passphrase that is accepted, as a
	// power of two: at 20, deriving the key takes 1 GiB of memory. age itself
	// writes 18.
	maxWork = 20
	// maxSealed is the largest archive that is read, in bytes.
	maxSealed = 2 * maxTotal
)

var (
	// ErrWrongPassphrase says that the passphrase does not open the archive.
	ErrWrongPassphrase = errors.New("the passphrase is not the archive's")
	// ErrWrongIdentity says that none of the keys opens the archive.
	ErrWrongIdentity = errors.New("the archive is for other recipients")
	// ErrDamaged says that a file is no archive, or was changed after it was
	// written.
	ErrDamaged = errors.New("this is no archive that hactl wrote, or it was changed")
)

// Lock says who can open an archive: whoever has the passphrase or else the
// private key of one of the recipients. It is one of the two.
type Lock struct {
	Passphrase config.Secret
	// Recipients are public keys of age ("age1…").
	Recipients []string
	// work is the cost of a passphrase as a power of two; zero means that of
	// age.
	work int
}

// Key opens an archive.
type Key struct {
	// Passphrase is asked for it if the archive has one. Nil means that
	// there is none.
	Passphrase func() (config.Secret, error)
	// Identities are the contents of age key files.
	Identities []config.Secret
}

func (l Lock) recipients() ([]age.Recipient, error) {
	if len(l.Recipients) == 0 {
		if n := len([]rune(l.Passphrase.Reveal())); n < MinPassphrase {
			return nil, &phases.Fault{
				What:  fmt.Sprintf("the passphrase has %d characters, and needs %d at least: the archive holds the keys to the cluster", n, MinPassphrase),
				Fixes: []string{"make a good one: (umask 077; head -c 24 /dev/urandom | base64 > passphrase), then: --passphrase-file passphrase"},
				Exit:  phases.CodeUsage,
			}
		}
		r, err := age.NewScryptRecipient(l.Passphrase.Reveal())
		if err == nil && l.work > 0 {
			r.SetWorkFactor(l.work)
		}
		return []age.Recipient{r}, err
	}
	var list []age.Recipient
	for _, text := range l.Recipients {
		r, err := parseRecipient(text)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

// Seal encrypts data (https://age-encryption.org/v1). A lock that cannot be
// used gives a *phases.Fault.
func Seal(l Lock, plain []byte) ([]byte, error) {
	recipients, err := l.recipients()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, recipients...)
	if err != nil {
		return nil, &phases.Fault{What: "the archive cannot be encrypted for these recipients", Why: err, Exit: phases.CodeUsage}
	}
	if _, err := w.Write(plain); err != nil {
		return nil, fmt.Errorf("encrypt the archive: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("encrypt the archive: %w", err)
	}
	return out.Bytes(), nil
}

// Unseal decrypts what Seal made, all of it or nothing. The error wraps
// ErrWrongPassphrase, ErrWrongIdentity or ErrDamaged, or is a *phases.Fault.
func Unseal(k Key, sealed []byte) ([]byte, error) {
	identities, err := k.identities()
	if err != nil {
		return nil, err
	}
	asked := &passphrase{ask: k.Passphrase}
	var in io.Reader = bytes.NewReader(sealed)
	if bytes.HasPrefix(sealed, []byte(armor.Header)) {
		in = armor.NewReader(in)
	}
	r, err := age.Decrypt(in, append(identities, asked)...)
	var none *age.NoIdentityMatchError
	switch {
	case asked.err != nil:
		return nil, asked.err
	case errors.As(err, &none) && slices.Contains(none.StanzaTypes, "scrypt"):
		return nil, ErrWrongPassphrase
	case errors.As(err, &none):
		return nil, ErrWrongIdentity
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	// Read to the end before anything is used: only then is it known that
	// nothing was cut off.
	plain, err := io.ReadAll(io.LimitReader(r, maxTotal+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if len(plain) > maxTotal {
		return nil, fmt.Errorf("%w: it holds more than %d bytes", ErrDamaged, maxTotal)
	}
	return plain, nil
}

func (k Key) identities() ([]age.Identity, error) {
	var list []age.Identity
	for _, file := range k.Identities {
		parsed, err := parseIdentities(file)
		if err != nil {
			return nil, err
		}
		list = append(list, parsed...)
	}
	return list, nil
}

// passphrase is an age.Identity that asks only if the archive needs it.
type passphrase struct {
	ask func() (config.Secret, error)
	err error
}

// Unwrap is that of age.Identity.
func (p *passphrase) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	if len(stanzas) != 1 || stanzas[0].Type != "scrypt" {
		return nil, age.ErrIncorrectIdentity
	}
	if p.ask == nil {
		p.err = &phases.Fault{
			What:  "the archive needs a passphrase, and none is given",
			Fixes: []string{"run it on a terminal, which asks for it", "or give it in a file: --passphrase-file FILE"},
			Exit:  phases.CodeUsage,
		}
		return nil, age.ErrIncorrectIdentity
	}
	secret, err := p.ask()
	if err == nil && secret == "" {
		err = &phases.Fault{What: "the passphrase is empty", Fixes: []string{"give the one that the archive was written with"}, Exit: phases.CodeUsage}
	}
	if err != nil {
		p.err = err
		return nil, age.ErrIncorrectIdentity
	}
	identity, err := age.NewScryptIdentity(secret.Reveal())
	if err != nil {
		return nil, err
	}
	identity.SetMaxWorkFactor(maxWork)
	return identity.Unwrap(stanzas)
}
