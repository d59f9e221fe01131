package etcd_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/etcd"
)

// judged is a report with so many voting members that answer, then so many
// that do not, then a learner that does not.
func judged(alive, dead int) etcd.Report {
	var r etcd.Report
	for i := range alive + dead {
		m := etcd.MemberHealth{Member: etcd.Member{ID: uint64(i + 1), Name: "m", PeerURLs: []string{etcd.PeerURL(string(rune('a' + i)))}}}
		if i >= alive {
			m.Err = etcd.ErrUnreachable
		}
		r.Members = append(r.Members, m)
	}
	return etcd.Report{Members: append(r.Members, etcd.MemberHealth{
		Member: etcd.Member{ID: 99, Name: "learner", Learner: true}, Err: etcd.ErrUnreachable,
	})}
}

func TestMayAdd(t *testing.T) {
	for name, c := range map[string]struct {
		reason      string
		alive, dead int
		want        bool
	}{
		"One":        {"a single member takes the second", 1, 0, true},
		"OneDead":    {"etcd does not ask a single one for connections", 0, 1, true},
		"OneOfTwo":   {"two of three would be a quorum, and one answers", 1, 1, false},
		"TwoOfThree": {"three of four would be a quorum, and two answer", 2, 1, false},
		"All":        {"three of four are a quorum", 3, 0, true},
		"FourOfFive": {"four of six are a quorum", 4, 1, true},
		"Nobody":     {"there is no cluster", 0, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := judged(c.alive, c.dead).MayAdd(); got != c.want {
				t.Errorf("%s: got %v, want %v", c.reason, got, c.want)
			}
		})
	}
}

func TestDeadVoters(t *testing.T) {
	r := judged(1, 2)
	for name, c := range map[string]struct {
		reason, own string
		want        []uint64
	}{
		"Both":  {"a learner has no vote", "https://10.0.0.9:2380", []uint64{2, 3}},
		"NoOwn": {"the one at that URL does not count", etcd.PeerURL("b"), []uint64{3}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []uint64
			for _, m := range r.DeadVoters(c.own) {
				got = append(got, m.ID)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
		})
	}
	for id, want := range map[uint64]bool{1: true, 2: false, 7: false} {
		if got := r.Answers(id); got != want {
			t.Errorf("member %d answers: got %v, want %v", id, got, want)
		}
	}
	if got := etcd.Others(r.Dead(), 2); len(got) != 2 || got[0].ID != 3 || got[1].ID != 99 {
		t.Errorf("all dead but 2: %+v", got)
	}
}

func TestCourse(t *testing.T) {
	r := judged(1, 1)
	alive, dead := r.Members[0].Member, r.Members[1].Member
	added := etcd.Member{ID: 9, Learner: true}
	for name, c := range map[string]struct {
		reason string
		own    *etcd.Member
		data   *etcd.Owner
		want   etcd.Course
	}{
		"Nothing":    {"neither etcd nor the machine knows of a member", nil, nil, etcd.CourseAdd},
		"Added":      {"it never ran", &added, nil, etcd.CourseBegin},
		"Writing":    {"its log is there before etcd knows its name", &added, &etcd.Owner{Member: 9}, etcd.CourseBegin},
		"Started":    {"it answers from here", &alive, &etcd.Owner{Member: 1}, etcd.CourseResume},
		"Stopped":    {"it is down, and its data is here", &dead, &etcd.Owner{Member: 2}, etcd.CourseResume},
		"Lost":       {"it is down, and its data is gone", &dead, nil, etcd.CourseReplace},
		"Elsewhere":  {"it answers, and not from here", &alive, nil, etcd.CourseTaken},
		"Stray":      {"etcd has no member here", nil, &etcd.Owner{Member: 7}, etcd.CourseForeign},
		"OtherData":  {"the data is that of an earlier member", &dead, &etcd.Owner{Member: 7}, etcd.CourseForeign},
		"OtherAdded": {"the data is older than the member", &added, &etcd.Owner{Member: 7}, etcd.CourseForeign},
	} {
		t.Run(name, func(t *testing.T) {
			if got := r.Course(c.own, c.data); got != c.want {
				t.Errorf("%s: got %d, want %d", c.reason, got, c.want)
			}
		})
	}
}
