package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hactl/hactl/e2e/nodes"
)

// What the kernel's nfnetlink_queue speaks, see
// include/uapi/linux/netfilter/nfnetlink_queue.h of Linux v6.1.
const (
	queueSubsystem = 3
	messagePacket  = 0
	messageVerdict = 1
	messageConfig  = 2

	attributePacket  = 1 // of a packet: its number comes first
	attributeVerdict = 2
	attributeCommand = 1 // of a configuration
	attributeParams  = 2
	attributeLength  = 3

	commandBind  = 1
	copyMetadata = 1
	accept       = 1
)

// delayQueue is the number of the queue on each node.
const delayQueue = 1

// delays are the packets of one node that have to wait. The kernel keeps the
// packets, this process their numbers.
type delays struct {
	socket *os.File
	by     time.Duration
	held   chan heldPacket
}

// heldPacket is a packet that the kernel may send when it is due.
type heldPacket struct {
	id  uint32
	due time.Time
}

// delayPackets holds back each packet that a rule of the node's firewall puts
// into the queue. The caller closes the result; then the kernel drops what
// waits, and lets the rest pass if the rule says so.
func delayPackets(n *nodes.Node, by time.Duration) (*delays, error) {
	var fd int
	var err error
	inside := n.InNetwork(func() {
		fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
	})
	if err := errors.Join(inside, err); err != nil {
		return nil, err
	}
	d := &delays{socket: os.NewFile(uintptr(fd), "nfqueue"), by: by, held: make(chan heldPacket, 1<<16)}
	length := binary.BigEndian.AppendUint32(nil, 1<<16)
	params := append(binary.BigEndian.AppendUint32(nil, 0), copyMetadata)
	for _, part := range [][]byte{
		attribute(attributeCommand, []byte{commandBind, 0, 0, unix.AF_INET}),
		attribute(attributeParams, params),
		attribute(attributeLength, length),
	} {
		if _, err := d.socket.Write(message(messageConfig, unix.NLM_F_REQUEST, part)); err != nil {
			return nil, errors.Join(fmt.Errorf("set up the queue: %w", err), d.socket.Close())
		}
	}
	go d.receive()
	go d.release()
	return d, nil
}

// attribute is a netlink attribute, padded.
func attribute(kind uint16, data []byte) []byte {
	size := unix.SizeofNlAttr + len(data)
	b := binary.NativeEndian.AppendUint16(nil, uint16(size))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, data...)
	return append(b, make([]byte, (4-size%4)%4)...)
}

// message is a netlink message to the queue.
func message(kind, flags uint16, attributes []byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+4+len(attributes)))
	b = binary.NativeEndian.AppendUint16(b, queueSubsystem<<8|kind)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = append(b, make([]byte, 8)...) // sequence and sender
	b = append(b, unix.AF_UNSPEC, 0)  // nfgenmsg: family, version
	b = append(b, 0, delayQueue)      // and the queue, big endian
	return append(b, attributes...)
}

// receive notes each packet until the socket is closed.
func (d *delays) receive() {
	defer close(d.held)
	buffer := make([]byte, 1<<16)
	for {
		n, err := d.socket.Read(buffer)
		switch {
		case errors.Is(err, unix.ENOBUFS):
			continue // some were lost, as packets are
		case err != nil:
			return
		}
		due := time.Now().Add(d.by)
		for _, id := range packetIDs(buffer[:n]) {
			d.held <- heldPacket{id, due}
		}
	}
}

// packetIDs are the numbers of the packets in what the kernel has sent.
func packetIDs(data []byte) (ids []uint32) {
	for len(data) >= unix.SizeofNlMsghdr+4 {
		size := int(binary.NativeEndian.Uint32(data))
		if size < unix.SizeofNlMsghdr+4 || size > len(data) {
			return ids
		}
		if kind := binary.NativeEndian.Uint16(data[4:]); kind == queueSubsystem<<8|messagePacket {
			if id, ok := packetID(data[unix.SizeofNlMsghdr+4 : size]); ok {
				ids = append(ids, id)
			}
		}
		data = data[min((size+3)&^3, len(data)):]
	}
	return ids
}

// packetID finds the number among a packet's attributes.
func packetID(data []byte) (uint32, bool) {
	for len(data) >= unix.SizeofNlAttr {
		size := int(binary.NativeEndian.Uint16(data))
		if size < unix.SizeofNlAttr || size > len(data) {
			return 0, false
		}
		if binary.NativeEndian.Uint16(data[2:]) == attributePacket && size >= unix.SizeofNlAttr+4 {
			return binary.BigEndian.Uint32(data[unix.SizeofNlAttr:]), true
		}
		data = data[min((size+3)&^3, len(data)):]
	}
	return 0, false
}

// release lets each packet go when it is due, in their order.
func (d *delays) release() {
	for p := range d.held {
		<-time.After(time.Until(p.due))
		verdict := binary.BigEndian.AppendUint32(nil, accept)
		verdict = binary.BigEndian.AppendUint32(verdict, p.id)
		// After Close there is nobody to tell.
		_, _ = d.socket.Write(message(messageVerdict, unix.NLM_F_REQUEST, attribute(attributeVerdict, verdict)))
	}
}

// close ends the delay.
func (d *delays) close() error { return d.socket.Close() }

// takes is an error unless a node's answer takes that long at least. Whether
// it is that nobody listens does not matter.
func (c *cluster) takes(ctx context.Context, name string, least time.Duration) error {
	began := time.Now()
	if conn, err := c.lab.Dial(ctx, "tcp", c.node(name).Address().String()+":10250"); err == nil {
		err = conn.Close()
		if err != nil {
			return err
		}
	}
	if took := time.Since(began); took < least {
		return fmt.Errorf("%s answers within %s: its packets are not held back", name, took)
	}
	return nil
}

// delayed makes each packet that leaves a node take longer.
func delayed(by time.Duration) harm {
	var d *delays
	firewall := filtered(func(*cluster, fault) []rule {
		return []rule{{"OUTPUT", "-o", "host0", "-j", "NFQUEUE", "--queue-num", fmt.Sprint(delayQueue), "--queue-bypass"}}
	})
	return harm{
		what: "delay",
		begin: func(ctx context.Context, c *cluster, f fault) (err error) {
			if d, err = delayPackets(c.node(f.Node), by); err != nil {
				return err
			}
			return errors.Join(firewall.begin(ctx, c, f), c.takes(ctx, f.Node, by))
		},
		end: func(ctx context.Context, c *cluster, f fault) error {
			// First the rule: what waits in the queue is still sent.
			err := firewall.end(ctx, c, f)
			pass(ctx, 2*by)
			return errors.Join(err, d.close())
		},
	}
}
