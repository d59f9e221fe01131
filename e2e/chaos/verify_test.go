package main

import (
	"errors"
	"testing"
	"time"
)

func TestAgree(t *testing.T) {
	good := view{cluster: 1, leader: 2, members: []string{"cp-1/1", "cp-2/2"}}
	with := func(change func(*view)) []view {
		other := good
		change(&other)
		return []view{good, other}
	}
	for _, c := range []struct {
		name, reason string
		views        []view
		want         []string
		ok           bool
	}{
		{"Same", "both see the same", []view{good, good}, []string{"cp-1", "cp-2"}, true},
		{"Stale", "a member that should not be there", []view{good, good}, []string{"cp-1"}, false},
		{"Missing", "a member that should be there", []view{good, good}, []string{"cp-1", "cp-2", "cp-3"}, false},
		{"TwoClusters", "never", with(func(v *view) { v.cluster = 9 }), []string{"cp-1", "cp-2"}, false},
		{"TwoLeaders", "one is wrong", with(func(v *view) { v.leader = 9 }), []string{"cp-1", "cp-2"}, false},
		{"OtherID", "the name of another member", with(func(v *view) { v.members = []string{"cp-1/1", "cp-2/9"} }), []string{"cp-1", "cp-2"}, false},
		{"Learner", "no vote", []view{{leader: 1, members: []string{described("cp-1", true)}}}, []string{"cp-1"}, false},
		{"NeverStarted", "no name", []view{{leader: 1, members: []string{described("", false)}}}, []string{"cp-1"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := agree(c.views, c.want); (err == nil) != c.ok {
				t.Errorf("%s: %v", c.reason, err)
			}
		})
	}
}

func TestLost(t *testing.T) {
	there := map[string]bool{objectName(1): true, objectName(3): true}
	if err := lost([]int{1, 3}, there); err != nil {
		t.Error(err)
	}
	if lost([]int{1, 2, 3}, there) == nil {
		t.Error("write 2 is lost, and nobody says so")
	}
}

func TestLoadMeasuresTheLongestGap(t *testing.T) {
	begin := time.Unix(1000, 0)
	at := func(s float64) time.Time { return begin.Add(time.Duration(s * float64(time.Second))) }
	l := &load{}
	l.since(begin)
	for _, w := range []struct {
		second float64
		err    error
	}{{1, nil}, {2, errors.New("cut")}, {4, nil}, {4.5, nil}} {
		l.acknowledged(int(w.second*10), w.err, at(w.second))
	}
	if gap, _ := l.longest(at(5)); gap != 3*time.Second {
		t.Errorf("the longest gap is %s, want that from 1 to 4", gap)
	}
	if gap, _ := l.longest(at(9)); gap != 4500*time.Millisecond {
		t.Errorf("the longest gap is %s, want the one that goes on", gap)
	}
	if got := len(l.all()); got != 3 {
		t.Errorf("%d acknowledged writes, want 3", got)
	}
	l.since(at(9))
	if gap, _ := l.longest(at(9.5)); gap != 500*time.Millisecond {
		t.Errorf("after a new begin the gap is %s", gap)
	}
}

func TestEnough(t *testing.T) {
	for _, c := range []struct {
		name, reason  string
		writes, reads int
		ok            bool
	}{
		{"Busy", "well above the rate", 100, 100, true},
		{"NoWrites", "nothing was at stake", 0, 100, false},
		{"NoReads", "nobody looked", 100, 2, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := enough(c.writes, c.reads, 10*time.Second); (err == nil) != c.ok {
				t.Errorf("%s: %v", c.reason, err)
			}
		})
	}
}
