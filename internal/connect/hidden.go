package connect

import (
	"regexp"
	"strings"
)

// userInfo is what stands between the scheme of a URL and its host. A password
// may hold nearly anything, an @ among it, so the last one before a space or a
// quote counts.
var userInfo = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^\s"'<>]*@`)

// HideUserInfo replaces user and password of every URL in a text.
func HideUserInfo(text string) string {
	return userInfo.ReplaceAllString(text, "${1}"+Hidden+"@")
}

// hideServers replaces user and password of bootstrap servers. Where one of them
// ends and the next begins cannot be told from a list with a password in it.
func hideServers(list string) string {
	if at := strings.LastIndex(list, "@"); at >= 0 {
		return Hidden + list[at:]
	}
	return list
}

// HideArguments is a command line without user and password of URLs and of
// bootstrap servers.
func HideArguments(args []string) []string {
	out := make([]string, len(args))
	for i, arg := range args {
		out[i] = HideUserInfo(arg)
		name, value, attached := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		switch {
		case attached && arg[0] == '-' && isServersFlag(name):
			out[i] = arg[:len(arg)-len(value)] + hideServers(value)
		case i > 0 && strings.HasPrefix(args[i-1], "-") && isServersFlag(strings.TrimLeft(args[i-1], "-")):
			out[i] = hideServers(arg)
		}
	}
	return out
}

func isServersFlag(name string) bool { return name == "b" || name == "bootstrap-server" }

// shownURL is a URL as it may be seen: who and which secret are none of a
// reader's business, and some put a secret into the query.
func shownURL(text string) string {
	text = HideUserInfo(text)
	// Of one that is no URL, what stands before an @ may be a password all the same.
	if !strings.Contains(text, "://") {
		text = hideServers(text)
	}
	if before, _, found := strings.Cut(text, "?"); found {
		text = before + "?" + Hidden
	}
	return text
}
