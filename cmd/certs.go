package cmd

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/cmd/render"
)

func newCerts(streams Streams) *cobra.Command {
	c := group("certs", "Work with certificates", newGenerateCSR(streams), newCertsExport(streams), newCertsImport(streams), newCertsVerify(streams), &cobra.Command{
		Use:   "certificate-key",
		Short: "Make a key for uploaded certificates",
		Long: text(`
			Make a key for the certificates that init --upload-certs keeps in the
			cluster: 32 random bytes, written as 64 hexadecimal digits.
		`),
		Example: examples(`
			hactl certs certificate-key > key
			hactl init --upload-certs --certificate-key-file key
		`),
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return printValue(c, streams, "certificateKey", app.NewCertificateKey().Reveal())
		},
	})
	c.Aliases = []string{"certificates"}
	return c
}

// printValue prints a single value: bare as text, in an object as JSON.
func printValue(c *cobra.Command, streams Streams, name, value string) error {
	format, _ := c.Flags().GetString("output")
	r, err := render.New(render.Format(format), streams.Out, streams.Err, streams.width)
	if err != nil {
		return err
	}
	return r.Result(single{name: value})
}

// single is a result of one named value, which the user asked to see.
type single map[string]string

// Text writes the bare value.
func (s single) Text(w io.Writer) error {
	for _, value := range s {
		if _, err := fmt.Fprintln(w, value); err != nil {
			return err
		}
	}
	return nil
}
