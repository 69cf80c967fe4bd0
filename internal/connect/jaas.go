package connect

import (
	"errors"
	"fmt"
	"strings"
)

// parseJAAS parses a JAAS login configuration in one line, as Java does: a
// login module, a flag, options, and a semicolon.
//
//	org.apache.kafka.common.security.plain.PlainLoginModule required username="a" password="b";
//
// Errors never quote the text: it holds a password.
func parseJAAS(s string) (module string, options map[string]string, err error) {
	tokens, err := jaasTokens(s)
	if err != nil {
		return "", nil, err
	}
	if len(tokens) == 0 || tokens[len(tokens)-1] != ";" {
		return "", nil, errors.New("it does not end with a semicolon")
	}
	tokens = tokens[:len(tokens)-1]
	if len(tokens) < 2 {
		return "", nil, errors.New("want a login module, a flag, and options")
	}
	module = tokens[0]
	switch strings.ToLower(tokens[1]) {
	case "required", "requisite", "sufficient", "optional":
	default:
		return "", nil, errors.New("the word behind the login module is none of required, requisite, sufficient, optional")
	}
	options = map[string]string{}
	for rest := tokens[2:]; len(rest) > 0; rest = rest[3:] {
		if len(rest) < 3 || rest[1] != "=" || rest[0] == "=" || rest[2] == "=" || rest[0] == ";" {
			return "", nil, fmt.Errorf("option %d is not NAME=\"VALUE\"", len(options)+1)
		}
		options[rest[0]] = rest[2]
	}
	return module, options, nil
}

// jaasTokens splits into words, quoted words, and the signs = and ;.
func jaasTokens(s string) (out []string, err error) {
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c == '=' || c == ';':
			out = append(out, string(c))
			i++
		case c == '"' || c == '\'':
			var b strings.Builder
			i++
			for ; i < len(s) && s[i] != c; i++ {
				if s[i] == '\\' && i+1 < len(s) {
					i++
				}
				b.WriteByte(s[i])
			}
			if i == len(s) {
				return nil, errors.New("a quote is not closed")
			}
			i++
			out = append(out, b.String())
		default:
			j := i
			for j < len(s) && !strings.ContainsRune(" \t\r\n=;\"'", rune(s[j])) {
				j++
			}
			out = append(out, s[i:j])
			i = j
		}
	}
	return out, nil
}
