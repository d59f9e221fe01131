package main

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// packetMessage is what the kernel sends about one packet.
func packetMessage(id uint32) []byte {
	header := append(binary.BigEndian.AppendUint32(nil, id), 8, 0, 3) // IPv4, the output hook
	other := attribute(7, []byte{0, 0, 0, 2})                         // the interface
	return message(messagePacket, 0, append(other, attribute(attributePacket, header)...))
}

func TestPacketIDs(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		data         []byte
		want         []uint32
	}{
		{"One", "its number is big endian, behind another attribute", packetMessage(300), []uint32{300}},
		{"Two", "one read gives several", append(packetMessage(1), packetMessage(2)...), []uint32{1, 2}},
		{"Other", "an answer to a configuration is no packet", message(messageConfig, 0, nil), nil},
		{"Short", "half a message holds nothing", packetMessage(7)[:12], nil},
		{"Empty", "nothing was read", nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, packetIDs(c.data)); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
		})
	}
}

func FuzzPacketIDs(f *testing.F) {
	f.Add(packetMessage(300))
	f.Fuzz(func(_ *testing.T, data []byte) { packetIDs(data) })
}
