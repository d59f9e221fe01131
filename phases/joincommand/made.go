package joincommand

// ForWorkers returns commands made of c's Endpoint, Token and CAHash, for
// workers only.
func ForWorkers(c Commands) Commands {
	c.fixed = false
	return c.written()
}

// ForAll returns commands made of c's Endpoint, which must be the
// control-plane endpoint, Token, CAHash and CertificateKey.
func ForAll(c Commands) Commands {
	c.fixed = true
	return c.written()
}
