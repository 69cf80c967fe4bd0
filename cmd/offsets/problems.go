package main

import (
	"errors"
	"fmt"
	"strings"

	"offsets/inspect"
)

// This file tells what could not be read: in a document's errors one by one, on
// stderr each reason once.

// errorsOf are problems as a document has them, each with its code.
func errorsOf(ps []inspect.Problem) []inspect.Problem {
	out := make([]inspect.Problem, len(ps))
	for i, p := range ps {
		if p.Code == "" {
			p.Code = inspect.CodeOf(p.Err)
		}
		out[i] = p
	}
	return out
}

// problemLines bounds what is told on stderr: a document has all.
const problemLines = 20

// foldProblems puts problems that partitions of a group share into one, with the
// partitions as ranges.
func foldProblems(ps []inspect.Problem) []inspect.Problem {
	type reason struct{ group, text string }
	index := map[reason]int{}
	places := map[int][]inspect.TopicPartition{}
	var out []inspect.Problem
	for _, p := range ps {
		key := reason{p.Group, p.Error}
		i, known := index[key]
		if p.Place == nil || !known {
			i = len(out)
			out = append(out, p)
		}
		if p.Place != nil {
			index[key] = i
			places[i] = append(places[i], *p.Place)
		}
	}
	for i, of := range places {
		if len(of) > 1 {
			p := &out[i]
			p.What, p.Error = "group "+p.Group, inspect.FoldReason(of, p.Error)
			p.Err = &foldedError{p.Error, p.Err}
		}
	}
	return out
}

// foldedError is the error of several partitions, of the kind that each has.
type foldedError struct {
	text string
	err  error
}

func (e *foldedError) Error() string { return e.text }
func (e *foldedError) Unwrap() error { return e.err }

// line is a problem as people read it.
func problemLine(p inspect.Problem) string { return p.What + ": " + p.Error }

// partialError: rows were printed, but not all there are.
type partialError struct{ Problems []inspect.Problem }

func (e *partialError) Error() string { return strings.Join(e.lines(), "\n") }

func (e *partialError) lines() (lines []string) {
	folded := foldProblems(e.Problems)
	for i, p := range folded {
		if i == problemLines && len(folded) > problemLines+1 {
			lines = append(lines, fmt.Sprintf("and %d more", len(folded)-i))
			break
		}
		lines = append(lines, problemLine(p))
	}
	return lines
}

// problems turns what could not be read into an error: partial where there is
// something to show, else failed with the problem itself.
func problems(ps []inspect.Problem, shown int) error {
	if len(ps) == 0 {
		return nil
	}
	if shown > 0 {
		return &partialError{ps}
	}
	var errs []error
	for _, p := range foldProblems(ps) {
		errs = append(errs, fmt.Errorf("%s: %w", p.What, p.Err))
	}
	return errors.Join(errs...)
}
