package main

import (
	"fmt"
	"io"
	"iter"
	"slices"

	"offsets/internal/render"
)

// show writes a result, escaped as far as a terminal needs it. Nothing else in this
// package calls render.Write.
func show[R, L any](e *env, w io.Writer, f render.Format, r render.Result[R, L]) error {
	r.Terminal = e.StdoutIsTerminal
	return render.Write(w, f, r)
}

// Small pieces that views share.

func rowsOf[R any](rows []R) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// one is the lines of a row that is a line itself.
func one[R any](r R) iter.Seq[R] { return slices.Values([]R{r}) }

func sections(s ...render.Section) iter.Seq[render.Section] { return slices.Values(s) }

func cells[R any](rows iter.Seq[R], f func(R) []string) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		for r := range rows {
			if !yield(f(r)) {
				return
			}
		}
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func number[N int | int32 | int64](n *N) string {
	if n == nil {
		return ""
	}
	return fmt.Sprint(*n)
}
