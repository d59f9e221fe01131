package health

import (
	"context"
	"time"
)

// Reached asks one server over the network.
func Reached(ctx context.Context, url string, ca []byte) APIServer {
	s := APIServer{URL: url}
	(&Task{Now: time.Now}).reach(ctx, &s, ca)
	return s
}
