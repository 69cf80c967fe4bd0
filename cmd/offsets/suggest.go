package main

import (
	"fmt"
	"strings"

	"offsets/cmd/offsets/internal/shell"
	"offsets/internal/render"
)

// This file is the one place where commands are made for people to type next.
// Whoever may commit chooses a group's name, and people paste what they read: so a
// command with a name in it has no quotes around it, which the name could close, and
// nothing behind it on its line. What is the same for everybody ('offsets list')
// may stand in the middle of a sentence.

// word is a word of a command, as every shell takes it. A constant is one as it is;
// a name, a path or an address becomes one by a function of this file.
type word string

// suggestion is what to do next: words, and on a line of its own the command that
// does it.
type suggestion struct {
	text    string
	command string // "" for none
}

// suggest is a suggestion with a command of this program. The text is what the
// command is for; a colon follows it.
func suggest(text string, words ...word) suggestion {
	return suggestion{text + ":", typed(words)}
}

// suggestTool is a suggestion with a command of the operating system.
func suggestTool(text string, words ...word) suggestion {
	_, command, _ := strings.Cut(typed(words), " ")
	return suggestion{text + ":", command}
}

// typed is a command of this program.
func typed(words []word) string {
	out := []string{"offsets"}
	for _, w := range words {
		out = append(out, string(w))
	}
	return strings.Join(out, " ")
}

// String is the suggestion as JSON has it.
func (s suggestion) String() string { return s.lines(s.text) }

// printable is the suggestion for people: two lines, whatever names are in its
// words.
func (s suggestion) printable() string { return s.lines(render.Printable(s.text)) }

func (s suggestion) lines(text string) string {
	if s.command == "" {
		return text
	}
	return text + "\n  " + s.command
}

// noteSuggestion is note with a command to type next.
func (e *env) noteSuggestion(s suggestion) {
	fmt.Fprintf(e.Stderr, "offsets: %s\n", s.printable())
}

// groupWord is a group as an argument of commands that take globs: one that is
// taken neither for a glob nor for a flag. A name that no shell is to see is left to
// the reader.
func groupWord(group string) word {
	name, ok := shell.Quote(escapeGlob(group))
	switch {
	case !ok:
		return "GROUP"
	case group == "" || group[0] == '-':
		return word("--group " + name)
	}
	return word(name)
}

// groupFlag is groupWord for commands of which the arguments are something else.
func groupFlag(group string) word {
	return "--group " + word(strings.TrimPrefix(string(groupWord(group)), "--group "))
}

// globWord is the glob of all groups with names that begin like that.
func globWord(prefix string) word {
	glob, ok := shell.Quote(escapeGlob(prefix) + "*")
	switch {
	case !ok:
		return `"*"`
	case strings.HasPrefix(prefix, "-"):
		return word("--group " + glob)
	}
	return word(glob)
}

// fileWord is a path as an argument.
func fileWord(path string) word {
	if strings.HasPrefix(path, "-") {
		path = "./" + path
	}
	return valueWord(path, "FILE")
}

// valueWord is a value as an argument; the name stands for what no shell is to see.
func valueWord(value, name string) word {
	if q, ok := shell.Quote(value); ok {
		return word(q)
	}
	return word(name)
}

// shellLine is a command as it was typed; of what cannot be quoted dots are left.
func shellLine(args []string) string {
	var out []string
	for _, a := range args {
		out = append(out, string(valueWord(a, "…")))
	}
	return strings.Join(out, " ")
}
