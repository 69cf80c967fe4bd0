package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"offsets/inspect"
)

// groupFlags select groups, beside the positional arguments.
func groupFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{KeepSpace: true, Name: "group", Usage: "a `GROUP` or glob, as the arguments are; may be given several times"},
		&cli.BoolFlag{Name: "all", Usage: "all groups that this user may see"},
	}
}

// wordsOf are the values of a flag that knows its words, as they are known; a
// word may be given in any case.
func wordsOf(flag string, given, known []string) ([]string, error) {
	var out []string
	for _, word := range given {
		i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, word) })
		if i < 0 {
			return nil, usagef("--%s %q: want one of %s", flag, word, strings.Join(known, ", "))
		}
		out = append(out, known[i])
	}
	return out, nil
}

// selection is what the user said about which groups.
type selection struct {
	patterns []string
	all      bool
}

func selectionOf(c *cli.Context) (selection, error) {
	s := selection{patterns: append(c.Args().Slice(), c.StringSlice("group")...), all: c.Bool("all")}
	if s.all && len(s.patterns) > 0 {
		return s, usagef("--all and named groups exclude each other")
	}
	return s, nil
}

// groups is a resolved selection.
type groups struct {
	names []string
	// many: the names come from a glob or --all, so what one may not see is
	// silently missing.
	many bool
	// implied: the user named no group.
	implied  bool
	problems []inspect.Problem
	// known is all groups, if they had to be listed; else nil.
	known *inspect.Known
}

// listed spares a second listing where resolving the selection took one.
func (g groups) listed(o inspect.DescribeOptions) inspect.DescribeOptions {
	o.Known = g.known
	return o
}

// resolve turns a selection into names. Names without a glob are taken as they
// are: whether they exist is found out later, and reported per group.
func (e *env) resolve(ctx context.Context, cluster *inspect.Cluster, s selection) (groups, error) {
	if len(s.patterns) == 0 && !s.all {
		if name := e.Getenv("OFFSETS_GROUP"); name != "" {
			return groups{names: []string{name}, implied: true}, nil
		}
		return e.onlyGroup(ctx, cluster)
	}
	if !s.all && !slices.ContainsFunc(s.patterns, isGlob) {
		return groups{names: unique(literals(s.patterns))}, nil
	}
	known, err := cluster.Groups(ctx)
	if err != nil {
		return groups{}, err
	}
	g := groups{many: true, problems: known.Problems, known: known}
	if s.all {
		g.names = known.Names
		return g, nil
	}
	for _, p := range s.patterns {
		if !isGlob(p) {
			g.names = append(g.names, literal(p))
			continue
		}
		matches := glob(p)
		n := len(g.names)
		for _, name := range known.Names {
			if matches(name) {
				g.names = append(g.names, name)
			}
		}
		if len(g.names) == n {
			return g, fmt.Errorf("no group matches %q: %w", p, inspect.ErrUnknownGroup)
		}
	}
	g.names = unique(g.names)
	return g, nil
}

// onlyGroup is the cluster's single group, or an error with the list.
func (e *env) onlyGroup(ctx context.Context, cluster *inspect.Cluster) (groups, error) {
	known, err := cluster.Groups(ctx)
	if err != nil {
		return groups{}, err
	}
	names := known.Names
	switch len(names) {
	case 0:
		return groups{}, usagef("no group named, and the cluster shows none")
	case 1:
		e.note("group %s: the only one of the cluster", names[0])
		return groups{names: names, implied: true, problems: known.Problems, known: known}, nil
	}
	shown := names
	if len(shown) > 20 {
		shown = append(slices.Clone(shown[:20]), fmt.Sprintf("and %d more", len(names)-20))
	}
	err2 := usagef("no group named, and the cluster has %d: %s", len(names), strings.Join(shown, ", "))
	err2.Hint = "name one, several, a glob such as 'orders-*', or --all; OFFSETS_GROUP sets a default"
	return groups{}, err2
}

// isGlob: a set that is not closed is none, and a backslash takes the meaning
// away from the character behind it.
func isGlob(s string) bool {
	_, literal := globExpression(s)
	return !literal
}

// literal is the name that a pattern without a glob stands for.
func literal(s string) string {
	for _, meta := range []string{"*", "?", "["} {
		s = strings.ReplaceAll(s, `\`+meta, meta)
	}
	return s
}

// escapeGlob is the pattern that matches one name.
func escapeGlob(name string) string {
	for _, meta := range []string{"*", "?", "["} {
		name = strings.ReplaceAll(name, meta, `\`+meta)
	}
	return name
}

func literals(patterns []string) []string {
	out := make([]string, len(patterns))
	for i, p := range patterns {
		out[i] = literal(p)
	}
	return out
}

// glob matches whole names: * any characters, ? one, [a-z] one of a set. The
// match of package path would stop at a slash, which group names may have.
func glob(pattern string) func(string) bool {
	expression, _ := globExpression(pattern)
	re, err := regexp.Compile(expression)
	if err != nil { // a set that is none: take the pattern literally
		return func(name string) bool { return name == pattern }
	}
	return re.MatchString
}

func globExpression(pattern string) (expression string, literal bool) {
	var b strings.Builder
	b.WriteString(`(?s)^`)
	literal = true
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\' && i+1 < len(pattern) && strings.IndexByte("*?[", pattern[i+1]) >= 0:
			i++
			b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
			continue
		case c == '*':
			b.WriteString(`.*`)
			literal = false
			continue
		case c == '?':
			b.WriteString(`.`)
			literal = false
			continue
		case c == '[':
			if end := strings.IndexByte(pattern[i:], ']'); end > 1 {
				b.WriteString(pattern[i : i+end+1])
				i += end
				literal = false
				continue
			}
		}
		b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
	}
	b.WriteString(`$`)
	return b.String(), literal
}

func unique(names []string) []string {
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool {
		had := seen[n]
		seen[n] = true
		return had
	})
}

// visibilityNote warns where an answer about all groups may not be about all.
func (e *env) visibilityNote(v inspect.Visibility) {
	switch v {
	case inspect.Filtered:
		e.note("only groups and topics that this user may see are shown")
	case inspect.Unknown:
		e.note("groups and topics that this user may not see are left out; the broker does not tell whether there are any")
	}
}
