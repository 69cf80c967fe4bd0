// Package shell writes commands that a person may paste into a shell. Whoever may
// commit chooses a group's name, so a name must never become a command of its own,
// in no shell: sh (dash, busybox), bash, zsh, fish, PowerShell and cmd.exe.
//
// Their rules for quotes have little in common, so there is no attempt to escape.
// What is plain in all of them stands as it is; what is literal between double
// quotes in all of them gets those; for the rest there is no command.
package shell

import (
	"strings"
	"unicode"
)

// Quote returns an argument as it can be typed in every shell. It returns false
// where there is no way to write it that all of them read alike.
func Quote(arg string) (string, bool) {
	switch {
	case arg == "":
		return `""`, true
	case len(arg) > maxLength:
		return "", false
	case !strings.ContainsFunc(arg, func(r rune) bool { return !plain(r) }) && !leads(arg[0]):
		return arg, true
	case strings.ContainsFunc(arg, func(r rune) bool { return !literal(r) }):
		return "", false
	}
	return `"` + arg + `"`, true
}

// maxLength is in bytes. Kafka takes longer names of groups, and nobody types them.
const maxLength = 500

// Line joins a command's words, of which each is quoted. It returns false where
// one of them cannot be.
func Line(words ...string) (string, bool) {
	quoted := make([]string, len(words))
	for i, w := range words {
		var ok bool
		if quoted[i], ok = Quote(w); !ok {
			return "", false
		}
	}
	return strings.Join(quoted, " "), true
}

// plain: it means nothing to any of the shells, wherever in a word it stands. A
// comma makes a list in PowerShell, a percent sign a variable in cmd.exe.
func plain(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:+=@", r)
}

// leads: at the beginning of a word it means something: a command's path in zsh
// (=), a list of arguments in PowerShell (@).
func leads(c byte) bool { return c == '=' || c == '@' }

// literal: between double quotes it is itself in all of the shells. Not so are
// quotes, among them the curly ones, which PowerShell takes for straight ones (and
// a single one would end the quotes of a sentence that are copied along); what begins an expansion ($ and ` and %, and ! in bash and zsh); the backslash.
// A circumflex is an escape in some uses of cmd.exe.
func literal(r rune) bool {
	if r == unicode.ReplacementChar || r >= '\u2018' && r <= '\u201f' {
		return false
	}
	return unicode.IsPrint(r) && !strings.ContainsRune("\"'$`\\!%^", r)
}
