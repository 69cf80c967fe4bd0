package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"offsets/inspect"
)

// A broker of three is gone: each reason is one line, whatever the number of
// partitions.
func TestProblemsAreToldOnce(t *testing.T) {
	var ps []inspect.Problem
	for _, group := range []string{"g", "h"} {
		for p := range int32(666) {
			row := inspect.Partition{Topic: "big", Partition: p, Status: inspect.NoLeader}
			ps = append(ps, inspect.ProblemOf(group, &row, errors.New(row.Words())))
		}
	}
	row := inspect.Partition{Topic: "big", Partition: 700, Status: inspect.Failed}
	ps = append(ps, inspect.ProblemOf("g", &row, errors.New("something else")), inspect.Problem{What: "group x", Error: "e", Err: errors.New("e")})
	want := "group g: big-0..665: the partition has no leader (666 partitions)\n" +
		"group h: big-0..665: the partition has no leader (666 partitions)\n" +
		"group g, big-700: something else\n" +
		"group x: e"
	if got := (&partialError{ps}).Error(); got != want {
		t.Errorf("%s", got)
	}
	if got := problems(ps, 0).Error(); strings.Count(got, "\n") != 3 {
		t.Errorf("%s", got)
	}
	// A document has them all, with their codes.
	listed := errorsOf(ps)
	if len(listed) != 2*666+2 || listed[0].Code != inspect.CodeNoLeader || listed[0].What != "group g, big-0" || listed[len(listed)-1].Code != inspect.CodeUnreadable {
		t.Errorf("%d, %+v", len(listed), listed[0])
	}

	// Many different ones are counted.
	ps = nil
	for n := range 1000 {
		ps = append(ps, inspect.Problem{What: fmt.Sprint("group g", n), Error: "e", Err: kerr.GroupAuthorizationFailed})
	}
	got := (&partialError{ps}).Error()
	if strings.Count(got, "\n") != problemLines || !strings.HasSuffix(got, "and 980 more") {
		t.Errorf("%s", got)
	}
	if code := errorsOf(ps)[0].Code; code != inspect.CodeNotAuthorized {
		t.Error(code)
	}
}
