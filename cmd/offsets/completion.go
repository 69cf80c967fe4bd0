package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

// completeFlag is how a shell asks the program for what may come next.
const completeFlag = "--generate-bash-completion"

const bashCompletion = `_offsets() {
  local cur="${COMP_WORDS[COMP_CWORD]}"
  local words=("${COMP_WORDS[@]:0:COMP_CWORD}")
  [[ $cur == -* ]] && words+=("$cur")
  COMPREPLY=($(compgen -W "$("${words[@]}" ` + completeFlag + ` 2>/dev/null)" -- "$cur"))
}
complete -o bashdefault -o default -F _offsets offsets
`

const zshCompletion = `#compdef offsets
_offsets() {
  local -a asked choices
  asked=("${(@)words[1,CURRENT-1]}")
  [[ ${words[CURRENT]} == -* ]] && asked+=("${words[CURRENT]}")
  choices=("${(@f)$("${asked[@]}" ` + completeFlag + ` 2>/dev/null)}")
  compadd -a choices
}
compdef _offsets offsets
`

func completionCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print a completion script for bash, zsh or fish",
		ArgsUsage: "bash|zsh|fish",
		Description: "   source <(offsets completion bash)\n" +
			"   offsets completion fish > ~/.config/fish/completions/offsets.fish",
		Action: func(c *cli.Context) error {
			shell, err := onlyArg(c, "bash, zsh or fish")
			if err != nil {
				return err
			}
			script := ""
			switch shell {
			case "bash":
				script = bashCompletion
			case "zsh":
				script = zshCompletion
			case "fish":
				if script, err = c.App.ToFishCompletion(); err != nil {
					return err
				}
			default:
				return usagef("unknown shell %q: want bash, zsh or fish", shell)
			}
			_, err = fmt.Fprint(e.Stdout, script)
			return err
		},
	}
}
