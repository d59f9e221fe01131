package rootless

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// The files of users, see passwd(5), group(5) and login.defs(5).
const (
	passwdFile = "/etc/passwd"
	groupFile  = "/etc/group"
	limitsFile = "/etc/login.defs"
)

// noShell lets nobody log in.
const noShell = "/bin/false"

// userNames are the users in the order in which they get their IDs.
var userNames = []string{etcdUser, apiServerUser, managerUser, schedulerUser}

// group is a group with its members, as they stand in the file.
type group struct{ name, members string }

func groups() []group {
	var list []group
	for _, name := range userNames {
		list = append(list, group{name, name})
	}
	return append(list, group{readers, apiServerUser + "," + managerUser})
}

// entry is a line of /etc/passwd or /etc/group. Lines of other shapes, such
// as those of NIS, are nobody's.
type entry struct {
	name string
	id   int64
	gid  int64  // of a user
	last string // the shell of a user, the members of a group
}

func parse(text string, fields int) []entry {
	var list []entry
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) != fields {
			continue
		}
		id, err := strconv.ParseInt(f[2], 10, 64)
		if err != nil {
			continue
		}
		e := entry{name: f[0], id: id, last: f[fields-1]}
		if fields == 7 {
			if e.gid, err = strconv.ParseInt(f[3], 10, 64); err != nil {
				continue
			}
		}
		list = append(list, e)
	}
	return list
}

// idRange is where the IDs of the system's own users lie, both ends included.
type idRange struct{ min, max int64 }

// limits reads the ranges of login.defs(5); what it does not say is 100 to
// 999, as for kubeadm.
func limits(text string) (uids, gids idRange) {
	uids, gids = idRange{100, 999}, idRange{100, 999}
	into := map[string]*int64{
		"SYS_UID_MIN": &uids.min, "SYS_UID_MAX": &uids.max, "SYS_GID_MIN": &gids.min, "SYS_GID_MAX": &gids.max,
	}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 || into[f[0]] == nil {
			continue
		}
		if n, err := strconv.ParseInt(f[1], 0, 64); err == nil {
			*into[f[0]] = n
		}
	}
	return uids, gids
}

// database is what a machine knows of users and groups, and what is to be
// added to it.
type database struct {
	passwd, group       string // the files' contents
	users, groups       []entry
	uids, gids          idRange
	newUsers, newGroups []entry
}

// read reads the files. A login.defs may be missing.
func (a *Accounts) read(ctx context.Context) (*database, error) {
	var text [3]string
	for i, name := range []string{passwdFile, groupFile, limitsFile} {
		data, err := a.Host.ReadFile(ctx, name)
		if err != nil && !(name == limitsFile && errors.Is(err, fs.ErrNotExist)) {
			return nil, fmt.Errorf("look for the users of the control plane: %w", err)
		}
		text[i] = string(data)
	}
	d := &database{passwd: text[0], group: text[1], users: parse(text[0], 7), groups: parse(text[1], 4)}
	d.uids, d.gids = limits(text[2])
	return d, nil
}

func find(list []entry, name string) (entry, bool) {
	i := slices.IndexFunc(list, func(e entry) bool { return e.name == name })
	if i < 0 {
		return entry{}, false
	}
	return list[i], true
}

// uid and gid are the IDs of names that are known.
func (d *database) uid(name string) int64 { e, _ := find(d.users, name); return e.id }
func (d *database) gid(name string) int64 { e, _ := find(d.groups, name); return e.id }

// complete judges the users and groups that are there and adds those that
// are not, each with the lowest free ID.
func (d *database) complete() error {
	for _, g := range groups() {
		e, ok := find(d.groups, g.name)
		if ok {
			if err := d.judgeGroup(e, g); err != nil {
				return err
			}
			continue
		}
		id, err := free(d.groups, d.gids, g.name)
		if err != nil {
			return err
		}
		e = entry{name: g.name, id: id, last: g.members}
		d.groups, d.newGroups = append(d.groups, e), append(d.newGroups, e)
	}
	for _, name := range userNames {
		e, ok := find(d.users, name)
		if ok {
			if err := d.judgeUser(e); err != nil {
				return err
			}
			continue
		}
		id, err := free(d.users, d.uids, name)
		if err != nil {
			return err
		}
		e = entry{name: name, id: id, gid: d.gid(name), last: noShell}
		d.users, d.newUsers = append(d.users, e), append(d.newUsers, e)
	}
	return nil
}

func free(taken []entry, r idRange, name string) (int64, error) {
	for id := r.min; id <= r.max; id++ {
		if !slices.ContainsFunc(taken, func(e entry) bool { return e.id == id }) {
			return id, nil
		}
	}
	return 0, noFreeID(name, r)
}

// make adds what is missing. Groups come first, so that a user never stands
// in the file without its group, wherever this ends.
func (a *Accounts) make(ctx context.Context) (*database, error) {
	d, err := a.read(ctx)
	if err != nil {
		return nil, err
	}
	if err := d.complete(); err != nil {
		return nil, err
	}
	var lines []string
	for _, g := range d.newGroups {
		lines = append(lines, fmt.Sprintf("%s:x:%d:%s", g.name, g.id, g.last))
	}
	if err := a.add(ctx, groupFile, d.group, lines); err != nil {
		return nil, err
	}
	lines = nil
	for _, u := range d.newUsers {
		lines = append(lines, fmt.Sprintf("%s:x:%d:%d:::%s", u.name, u.id, u.gid, u.last))
	}
	return d, a.add(ctx, passwdFile, d.passwd, lines)
}

// add appends lines to a file that holds text. It refuses while a program
// that changes users holds the file (shadow's lock, passwd.lock), and where
// the file is a link into something that is made by other means.
func (a *Accounts) add(ctx context.Context, name, text string, lines []string) error {
	if len(lines) == 0 {
		return nil
	}
	if _, err := a.Host.Stat(ctx, name+".lock"); err == nil {
		return locked(name)
	}
	info, err := a.Host.Stat(ctx, name)
	if err != nil {
		return fmt.Errorf("add the users of the control plane: %w", err)
	}
	if info.Link {
		return linked(name, lines)
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	text += strings.Join(lines, "\n") + "\n"
	if err := a.Host.WriteFile(ctx, name, []byte(text), info.Mode.Perm()); err != nil {
		return fmt.Errorf("add the users of the control plane: %w", err)
	}
	return nil
}
