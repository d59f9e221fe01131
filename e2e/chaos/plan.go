package main

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// epoch is how many faults one cluster lives through. The first of them
// happens while it is being made.
const epoch = 25

// fault is one thing that goes wrong. It follows from the seed and its number
// alone, so that one fault can be repeated without those before it.
type fault struct {
	Seed    uint64        `json:"seed"`
	Number  int           `json:"number"` // from 1
	Kind    string        `json:"kind"`
	Node    string        `json:"node"`
	Variant string        `json:"variant,omitempty"`
	Moment  float64       `json:"moment"` // the part of a command's usual time after which it happens, 0 to 1
	Held    time.Duration `json:"held"`   // how long it lasts, if it can last
}

// String names the fault in one line.
func (f fault) String() string {
	text := fmt.Sprintf("%s, %s", f.Kind, f.Node)
	if f.Variant != "" {
		text += ", " + f.Variant
	}
	return text
}

// draw is the fault of that number. Those that begin an epoch are of the kinds
// that need no cluster.
func draw(seed uint64, number int, from []kind) (fault, error) {
	random := rand.New(rand.NewPCG(seed, uint64(number)))
	first := number%epoch == 1
	total := 0
	for _, k := range from {
		if k.first == first {
			total += k.weight
		}
	}
	if total == 0 {
		return fault{}, fmt.Errorf("fault %d: no kind to choose from", number)
	}
	at := random.IntN(total)
	for _, k := range from {
		if k.first != first {
			continue
		}
		if at -= k.weight; at < 0 {
			return k.draw(random, seed, number), nil
		}
	}
	panic("unreachable: at is below the sum of the weights")
}

// draw gives the kind its parameters. It takes the same number of values
// whatever they are for, so that a new variant of one parameter leaves the
// others as they are.
func (k kind) draw(random *rand.Rand, seed uint64, number int) fault {
	f := fault{Seed: seed, Number: number, Kind: k.name, Moment: random.Float64()}
	node, variant, held := random.Uint64(), random.Uint64(), random.Float64()
	if n := len(k.nodes); n > 0 {
		f.Node = k.nodes[node%uint64(n)]
	}
	if n := len(k.variants); n > 0 {
		f.Variant = k.variants[variant%uint64(n)]
	}
	f.Held = k.least + time.Duration(held*float64(k.most-k.least)).Truncate(time.Millisecond)
	return f
}

// plan lists the faults from one number on.
func plan(seed uint64, from, count int, kinds []kind) ([]fault, error) {
	var list []fault
	for number := from; number < from+count; number++ {
		f, err := draw(seed, number, kinds)
		if err != nil {
			return nil, err
		}
		list = append(list, f)
	}
	return list, nil
}

// pick finds the kind of that name.
func pick(kinds []kind, name string) (kind, error) {
	for _, k := range kinds {
		if k.name == name {
			return k, nil
		}
	}
	return kind{}, fmt.Errorf("there is no kind of fault %q", name)
}
