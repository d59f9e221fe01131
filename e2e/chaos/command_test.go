package main

import "testing"

const failedRun = `{"type":"event","phase":"discovery","kind":"started"}
{"type":"error","what":"this node's clock is 1h0m0s ahead","why":"certificates","fix":["set the clock"],"code":3}
`

func TestParse(t *testing.T) {
	o := parse([]byte(failedRun))
	if o.failure == nil || o.failure.Code != 3 || o.failure.What == "" || len(o.failure.Fix) != 1 {
		t.Errorf("the failure is %+v", o.failure)
	}
	o = parse([]byte(`{"type":"event"}` + "\n" + `{"type":"result","result":{"a":1}}` + "\n" + `{"type":"ev`))
	if string(o.result) != `{"a":1}` || o.failure != nil {
		t.Errorf("the result is %s, the failure %+v", o.result, o.failure)
	}
}

func TestTold(t *testing.T) {
	helpful := parse([]byte(failedRun)).failure
	for _, c := range []struct {
		name, reason string
		o            outcome
		ok           bool
	}{
		{"Well", "nothing to tell", outcome{code: 0}, true},
		{"Helpful", "what is wrong and how to mend it", outcome{code: 3, failure: helpful}, true},
		{"NoFix", "a person cannot act on it", outcome{code: 3, failure: &failure{What: "x", Code: 3}}, false},
		{"Silent", "nobody knows what was wrong", outcome{code: 1}, false},
		{"Killed", "nobody has killed it", outcome{code: killed, failure: helpful}, false},
		{"Panic", "Go ends with 2 then", outcome{code: 2, stderr: "panic: x"}, false},
		{"OtherCode", "it told another code than it ended with", outcome{code: 4, failure: helpful}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.o.told(); (err == nil) != c.ok {
				t.Errorf("%s: %v", c.reason, err)
			}
		})
	}
}

func TestSays(t *testing.T) {
	o := outcome{code: 3, failure: parse([]byte(failedRun)).failure}
	for _, c := range []struct {
		name, reason string
		code         int
		word         string
		ok           bool
	}{
		{"Right", "the case does not matter", 3, "CLOCK", true},
		{"OtherCode", "the code is part of the answer", 5, "clock", false},
		{"OtherWords", "it is about something else", 3, "disk", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := o.says(c.code, c.word); (err == nil) != c.ok {
				t.Errorf("%s: %v", c.reason, err)
			}
		})
	}
}
